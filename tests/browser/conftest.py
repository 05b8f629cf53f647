"""A browser, a running service with a small model, and pages that are watched.

These tests are run by ``make test-browser``, which installs Chromium and Playwright, and by ``make test-firefox``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from differnet import DifferNet
from tests.browser.guard import Guard
from tests.browser.station import Station
from tests.conftest import plate

CHROMIUM = os.environ.get("DIFFERNET_CHROMIUM", "/usr/bin/chromium")
# Firefox instead; its file. It is driven by WebDriver BiDi.
FIREFOX = os.environ.get("DIFFERNET_FIREFOX")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = (1280, 900)

# The page looks for news every few seconds, and so does the service.
expect.set_options(timeout=20_000)

OpenPage = Callable[..., Page]
SaveFile = Callable[..., Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes a minute goes first: at the end, one process would work on it and the others wait."""
    items.sort(key=lambda item: item.path.name != "test_products.py")


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Firefox saves files, of which BiDi tells nothing."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def browser(downloads: Path) -> Iterator[Browser]:
    if not Path(FIREFOX or CHROMIUM).exists():
        pytest.fail(f"{FIREFOX or CHROMIUM} is missing; run: make test-browser, or make test-firefox")
    with sync_playwright() as playwright:
        if FIREFOX:
            browser = playwright.firefox.launch(
                executable_path=FIREFOX, channel="moz-firefox", firefox_user_prefs=saving_to(downloads)
            )
        else:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def saving_to(folder: Path) -> dict[str, str | float | bool]:
    return {
        "browser.download.folderList": 2,
        "browser.download.dir": str(folder),
        "browser.download.useDownloadDir": True,
    }


@pytest.fixture
def save_file(downloads: Path, tmp_path: Path) -> SaveFile:
    """Clicks a button that saves a file, and gives the file."""

    def save_file(page: Page, button: Locator, timeout: float = 30_000) -> Path:
        button.wait_for(timeout=timeout)
        if not FIREFOX:
            with page.expect_download() as download:
                button.click()
            file = tmp_path / download.value.suggested_filename
            download.value.save_as(file)
            return file
        before = set(downloads.iterdir())
        button.click()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            page.wait_for_timeout(200)
            found = set(downloads.iterdir()) - before
            if found and not any(file.suffix == ".part" or file.stat().st_size == 0 for file in found):
                return found.pop()
        raise AssertionError("nothing was saved")

    return save_file


@pytest.fixture(scope="session")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts that no model has seen: good_00.png to good_39.png, scratch_0.png to scratch_3.png."""
    folder = tmp_path_factory.mktemp("plates")
    rng = np.random.default_rng(7)
    for i in range(40):
        Image.fromarray(plate(rng)).save(folder / f"good_{i:02}.png")
    for i in range(4):
        Image.fromarray(plate(rng, "scratch")).save(folder / f"scratch_{i}.png")
    return folder


@pytest.fixture(scope="session")
def plates_model(fitted: DifferNet, model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model, calibrated so that about half of the good parts are to be looked at."""
    model = DifferNet.load(model_file, device="cpu")
    model.calibrate(false_reject_rate=0.1, review_rate=0.5)
    file = tmp_path_factory.mktemp("plates-model") / "plates.safetensors"
    model.save(file)
    return file


@pytest.fixture
def make_station(tmp_path: Path, plates_model: Path) -> Iterator[Callable[[], Station]]:
    """Makes services with a folder of models of their own; they are stopped after the test."""
    made: list[Station] = []

    def make() -> Station:
        home = tmp_path / f"station{len(made)}"
        (home / "models").mkdir(parents=True)
        (home / "models" / "plates.safetensors").write_bytes(plates_model.read_bytes())
        made.append(Station(home / "models", home / "data"))
        return made[-1]

    yield make
    for station in made:
        station.stop()


@pytest.fixture
def own_station(make_station: Callable[[], Station]) -> Station:
    """A running service that nothing else has touched."""
    return make_station().start()


@pytest.fixture(scope="session")
def station(tmp_path_factory: pytest.TempPathFactory, plates_model: Path, plates: Path) -> Iterator[Station]:
    """A running service that tests share, with six good and two scratched parts inspected; none may be reviewed."""
    home = tmp_path_factory.mktemp("station")
    (home / "models").mkdir()
    (home / "models" / "plates.safetensors").write_bytes(plates_model.read_bytes())
    station = Station(home / "models", home / "data").start()
    for name in [f"good_{i:02}.png" for i in range(6)] + ["scratch_0.png", "scratch_1.png"]:
        station.inspect("plates", plates / name)
    station.make_product("plates", [plates / f"good_{i:02}.png" for i in range(4)])
    yield station
    station.stop()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens a view of a service in a window of its own; afterwards nothing may have gone wrong in it."""
    guards: list[tuple[Page, Guard]] = []

    def open_page(
        station: Station,
        view: str = "inspect",
        size: tuple[int, int] = DESKTOP,
        scheme: str = "light",
        noise: tuple[str, ...] = (),
        *,
        locale: str = "en-US",
    ) -> Page:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if scheme == "dark" else "light",
            locale=locale,
        )
        page = context.new_page()
        page.set_default_timeout(30_000)
        guard = Guard(page, station.url)
        for pattern in noise:
            guard.expect(pattern)
        guards.append((page, guard))
        page.goto(f"{station.url}/#/{view}")
        return page

    yield open_page
    for page, guard in guards:
        page.context.close()
        guard.check()


def check_accessibility(page: Page) -> None:
    """By axe-core's rules."""
    found = [f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in Axe().run(page).response["violations"]]
    assert not found
