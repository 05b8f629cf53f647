"""Takes the pictures of the web page in docs/images: `make pictures`.

A service is started with nothing but a recording as its camera and two receivers of its verdicts; the page is then
used as a person would, on solar cells of the elpv-dataset: pictures are added, two versions trained, the second put
into service, parts inspected and judged, versions compared, the threshold set anew.
"""

from __future__ import annotations

import io
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright
from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.browser.station import Station
from tests.cameras.recordings import make_video

from differnet.images import load_image
from differnet.images.solar_cells import choose_cells, find_dataset

TARGET = Path(__file__).parents[1] / "docs" / "images"
SIZE = (1360, 860)
NAME = "solar-cells"
FIRST, LEARNT, SEEN = 20, 60, 20
PATIENCE = 300_000


def main() -> None:
    """Take them all."""
    cells = choose_cells(find_dataset())
    with tempfile.TemporaryDirectory(prefix="differnet-pictures-") as name, sync_playwright() as playwright:
        folder = Path(name)
        (folder / "models").mkdir()
        # Every third cell that the camera sees is a broken one.
        trios = zip(cells.train[1:300:30], cells.train[2:300:30], cells.test_defective[3::10], strict=True)
        seen = [load_image(file) for trio in trios for file in trio]
        video = make_video(folder / "line.mkv", seen, rate=2.0)
        # One that takes verdicts, and a broker that is away.
        receivers = (f"opc.tcp://127.0.0.1:{_free_port()}/{NAME}", f"mqtt://127.0.0.1:{_free_port()}/plant/line1")
        options = ["--camera", f"line 1={video}", *(word for each in receivers for word in ("--to", each))]
        station = Station(folder / "models", folder / "data", *options).start("/healthz")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, locale="en-US")
        page.set_default_timeout(PATIENCE)
        try:
            page.goto(f"{station.url}/#/products")
            page.get_by_role("textbox", name="New product").fill(NAME)
            page.get_by_role("button", name="Make the product").click()
            strange = cells.test_defective[1]
            learnt = cells.train[:: 300 // LEARNT]
            first = learnt[:: LEARNT // FIRST]
            _choose(page, [*first, strange])
            page.locator(".wall-tile").nth(FIRST).wait_for()
            page.get_by_label("From a camera or a folder").get_by_role("combobox").select_option("Camera line 1")
            page.locator(".collect-frame[src]").wait_for()
            _train(page, strange, [file for file in learnt if file not in first])
            every = slice(0, 100, 100 // SEEN)
            parts = {"defective": cells.test_defective[every], "good": cells.test_good[every]}
            _inspect(page, [part for files in parts.values() for part in files[:4]])
            _inspect_from_camera(page)
            words = {part.name: word for word, files in parts.items() for part in files}
            _judge(page, station, [part for files in parts.values() for part in files[4:]], words)
            _look_on(page)
            _compare(page, strange)
            _recalibrate(page)
        finally:
            browser.close()
            station.stop()


def _train(page: Page, strange: Path, more: Sequence[Path]) -> None:
    """A version that learnt a broken cell, and one of more pictures that did not, which is put into service."""
    page.get_by_label("Kind of training").select_option("fast")
    page.get_by_label("Parts lie").select_option("none")
    page.get_by_text("Kept for the next training.").wait_for()
    train = page.get_by_role("button", name="Train a new version")
    train.click()
    version = page.get_by_role("article", name="Version 1")
    version.get_by_role("button", name=f"Look at {strange.name}").click()
    version.locator(".suspect [data-heat=shown]").wait_for()
    version.get_by_role("button", name="Leave out of the next training").click()
    page.locator(".tile-out").wait_for()
    _choose(page, more)
    page.locator(".wall-tile").nth(LEARNT).wait_for()
    _take(page, "station-products", height=1240)
    train.click()
    version = page.get_by_role("article", name="Version 2")
    version.get_by_role("button", name="Put into service …").click()
    version.get_by_role("button", name="Put version 2 into service").click()
    version.get_by_role("link", name="Inspect with it").click()


def _inspect(page: Page, parts: Sequence[Path]) -> None:
    """Parts that are dropped; one is looked at."""
    _choose(page, parts)
    page.locator(".result-score").nth(len(parts) - 1).wait_for()
    page.get_by_role("button", name=parts[3].name).click()
    page.locator("[data-heat=shown]").wait_for()
    _take(page, "station-inspect", height=1000)


def _inspect_from_camera(page: Page) -> None:
    """Pictures of the camera, until one is rejected, which is looked at."""
    page.get_by_role("button", name="Clear the list").click()
    page.get_by_label("From a camera").get_by_role("combobox").select_option("line 1")
    page.locator(".collect-frame[src]").wait_for()
    rejected = page.locator(".result").filter(has=page.locator(".badge-reject"))
    for number in range(1, 40):
        page.get_by_role("button", name="Inspect a picture").click()
        page.locator(".result-score").nth(number - 1).wait_for()
        if number >= 3 and rejected.count():
            break
    rejected.first.click()
    page.locator("[data-heat=shown]").wait_for()
    _take(page, "station-camera", height=1118)


def _judge(page: Page, station: Station, parts: Sequence[Path], words: dict[str, str]) -> None:
    """More parts come; they are judged, first the random sample of accepted ones. Those of the camera are left."""
    for part in parts:
        station.inspect(NAME, part)
    page.get_by_role("link", name="Review", exact=True).click()
    page.locator("[data-heat=shown]").wait_for()
    _take(page, "station-review")
    sample = station.get(f"/v1/sample?model={NAME}")["inspections"]
    for inspection in [*sample, *station.get("/v1/inspections?limit=100")["inspections"]]:
        name = inspection["filename"]
        if name in words:
            station.review(inspection, words[name])


def _look_on(page: Page) -> None:
    """What came in, and where verdicts are sent."""
    page.get_by_role("link", name="Live", exact=True).click()
    page.get_by_text("It takes none now").wait_for()
    page.locator(".feed .thumb").first.wait_for()
    _take(page, "station-live", height=1240)


def _compare(page: Page, strange: Path) -> None:
    """How many parts there are to test with; the versions on them, and a part on which they disagree."""
    page.get_by_role("link", name="Products").click()
    page.get_by_role("link", name=NAME, exact=True).click()
    comparison = page.get_by_role("region", name="Compare versions")
    comparison.get_by_role("button", name="Compare").click()
    link = page.get_by_role("link", name="Version 2 against 1")
    link.wait_for()
    _take(page, "station-versions", page.get_by_role("region", name="Versions", exact=True))
    version = page.get_by_role("article", name="Version 1")
    version.get_by_role("button", name=f"Look at {strange.name}").click()
    version.locator(".suspect [data-heat=shown]").wait_for()
    _take(page, "station-version", version, 1240)
    link.click()
    page.locator(".differ-row").first.click()
    page.locator(".compare-pictures [data-heat=shown]").nth(1).wait_for()
    _take(page, "station-comparison", page.locator(".view-head"), 1400)


def _recalibrate(page: Page) -> None:
    """How many parts there are for another threshold, and what it would change."""
    page.get_by_role("link", name="Review", exact=True).click()
    page.get_by_role("link", name="Recalibrate …").click()
    page.get_by_text("That is enough.").wait_for()
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("region", name="Preview").wait_for()
    _take(page, "station-recalibrate")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _choose(page: Page, files: Sequence[Path]) -> None:
    page.set_input_files("#files", list(files))


def _take(page: Page, name: str, beginning: Locator | None = None, height: int = SIZE[1]) -> None:
    """What is seen from an element on, below the page's head, or from the page's top."""
    page.set_viewport_size({"width": SIZE[0], "height": height})
    if beginning is None:
        page.evaluate("window.scrollTo(0, 0)")
    else:
        page.evaluate(
            "node => window.scrollTo(0, node.getBoundingClientRect().top + window.scrollY - 72)",
            beginning.element_handle(),
        )
    page.wait_for_timeout(500)  # pictures fade in
    # In 256 colours it is a third as large; chosen so, none is off by more than a few steps.
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture = picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2)
    picture.save(TARGET / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
