"""Takes the pictures of the web page in docs/images: `make pictures`.

A service is started with nothing but a recording as its camera; the page is then used as a person would, on solar cells
of the elpv-dataset: pictures are added, two versions trained, the second put into service, parts inspected and judged.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright
from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.browser.station import Station
from tests.cameras.recordings import make_video

from differnet.images import load_image
from differnet.images.solar_cells import choose_cells, find_dataset

TARGET = Path(__file__).parents[1] / "docs" / "images"
SIZE = (1360, 860)
NAME = "solar-cells"
LEARNT, SEEN = 20, 12
PATIENCE = 900_000


def main() -> None:
    """Take them all."""
    cells = choose_cells(find_dataset())
    with tempfile.TemporaryDirectory(prefix="differnet-pictures-") as name, sync_playwright() as playwright:
        folder = Path(name)
        (folder / "models").mkdir()
        video = make_video(folder / "line.mkv", [load_image(file) for file in cells.train[200:240]], rate=2.0)
        station = Station(folder / "models", folder / "data", "--camera", f"line 1={video}").start("/healthz")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, locale="en-US")
        page.set_default_timeout(PATIENCE)
        try:
            page.goto(f"{station.url}/#/products")
            page.get_by_role("textbox", name="New product").fill(NAME)
            page.get_by_role("button", name="Make the product").click()
            strange = cells.test_defective[1]
            _choose(page, [*cells.train[:LEARNT], strange])
            page.locator(".wall-tile").nth(LEARNT).wait_for()
            page.get_by_label("From a camera or a folder").get_by_role("combobox").select_option("Camera line 1")
            page.locator(".collect-frame[src]").wait_for()
            _take(page, "station-products")
            _train(page, strange)
            _inspect(page, station, [*cells.test_defective[:SEEN], *cells.test_good[:SEEN]])
            page.get_by_role("link", name="Products").click()
            page.get_by_role("link", name=NAME, exact=True).click()
            page.get_by_role("region", name="Compare versions").get_by_role("button", name="Compare").click()
            page.get_by_role("link", name="Version 2 against 1").click()
            page.locator(".differ-row").first.click()
            page.locator(".compare-pictures [data-heat=shown]").nth(1).wait_for()
            _take(page, "station-comparison", page.locator(".view-head"), 1240)
        finally:
            browser.close()
            station.stop()


def _train(page: Page, strange: Path) -> None:
    """A version that learnt a broken cell, and one that did not, which is put into service."""
    page.get_by_label("Kind of training").select_option("fast")
    page.get_by_label("Parts lie").select_option("none")
    page.get_by_text("Kept for the next training.").wait_for()
    train = page.get_by_role("button", name="Train a new version")
    train.click()
    version = page.get_by_role("article", name="Version 1")
    version.get_by_role("button", name=f"Look at {strange.name}").click()
    version.locator(".suspect [data-heat=shown]").wait_for()
    _take(page, "station-version", version, 1240)
    version.get_by_role("button", name="Leave out of the next training").click()
    train.click()
    version = page.get_by_role("article", name="Version 2")
    version.get_by_role("button", name="Put into service …").click()
    version.get_by_role("button", name="Put version 2 into service").click()
    version.get_by_role("link", name="Inspect with it").click()


def _inspect(page: Page, station: Station, parts: Sequence[Path]) -> None:
    """Parts are inspected and judged; the first defective ones are looked at."""
    _choose(page, parts[:8])
    page.locator(".result").nth(7).wait_for()
    page.get_by_role("button", name=parts[3].name).click()
    page.locator("[data-heat=shown]").wait_for()
    _take(page, "station-inspect")
    for part in parts[8:]:
        station.inspect(NAME, part)
    page.get_by_role("link", name="Review", exact=True).click()
    page.locator("[data-heat=shown]").wait_for()
    _take(page, "station-review")
    defective = {part.name for part in parts[:SEEN]}
    for inspection in station.get("/v1/inspections?limit=100")["inspections"]:
        station.review(inspection, "defective" if inspection["filename"] in defective else "good")


def _choose(page: Page, files: Sequence[Path]) -> None:
    page.set_input_files("#files", list(files))


def _take(page: Page, name: str, beginning: Locator | None = None, height: int = SIZE[1]) -> None:
    """What is seen from an element on, below the page's head, or from the page's top."""
    page.set_viewport_size({"width": SIZE[0], "height": height})
    if beginning is None:
        page.evaluate("window.scrollTo(0, 0)")
    else:
        page.evaluate(
            "node => window.scrollTo(0, node.getBoundingClientRect().top + window.scrollY - 80)",
            beginning.element_handle(),
        )
    page.wait_for_timeout(500)  # pictures fade in
    page.screenshot(path=TARGET / f"{name}.png")


if __name__ == "__main__":
    main()
