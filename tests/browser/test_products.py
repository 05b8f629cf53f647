"""From an empty station to a released model and a rejected part, and back, on photographs of solar cells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from differnet.images.solar_cells import CellSplit, choose_cells, find_dataset
from tests.browser.conftest import OpenPage
from tests.browser.station import Station

# Of the training; the machine may be busy with other tests.
TRAINING = 240_000


@pytest.fixture(scope="module")
def cells() -> CellSplit:
    return choose_cells(find_dataset())


@pytest.fixture
def empty_station(tmp_path: Path) -> Iterator[Station]:
    """A service without any model."""
    (tmp_path / "models").mkdir()
    station = Station(tmp_path / "models", tmp_path / "data").start("/healthz")
    yield station
    station.stop()


def choose_files(page: Page, files: list[Path]) -> None:
    """By the button and the system's own dialog."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose images").click()
    chooser.value.set_files(files)


def make_product(page: Page, name: str) -> None:
    page.get_by_role("link", name="Train a model").click()
    page.get_by_role("textbox", name="New product").fill(name)
    page.get_by_role("button", name="Make the product").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def test_from_an_empty_station_to_a_rejected_part(
    empty_station: Station, open_page: OpenPage, cells: CellSplit
) -> None:
    page = open_page(empty_station)
    make_product(page, "Cells & 'line 3'")
    train = page.get_by_role("button", name="Train a new version")
    expect(train).to_be_disabled()
    expect(page.get_by_role("region", name="Training")).to_contain_text("19 more are needed")

    # One of the good pictures is of a broken cell; another came twice.
    broken = cells.test_defective[1]
    choose_files(page, [*cells.train[:20], broken])
    expect(page.locator(".wall-tile")).to_have_count(21)
    choose_files(page, [cells.train[0]])
    expect(page.get_by_text("is there already")).to_be_visible()
    page.get_by_label("Kind of training").select_option("fast")
    page.get_by_label("Parts lie").select_option("none")
    expect(page.get_by_text("Kept for the next training.")).to_be_visible()

    train.click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    version = page.get_by_role("article", name="Version 1")
    expect(version).to_be_visible(timeout=TRAINING)
    expect(version).to_contain_text("on average at most 5 % of good parts like these 21 pictures")
    expect(page.get_by_role("list", name="Good pictures").locator(f"li:has([title='{broken.name}'])")).to_contain_text(
        "strange"
    )

    version.get_by_role("button", name=f"Look at {broken.name}").click()
    expect(version.locator(".suspect [data-heat=shown]")).to_be_visible()
    version.get_by_role("button", name="Leave out of the next training").click()
    expect(page.locator(".tally").first).to_contain_text("21 pictures, 1 left out")
    expect(page.get_by_role("region", name="Training")).to_contain_text("20 pictures to learn from")

    train.click()
    version = page.get_by_role("article", name="Version 2")
    expect(version).to_be_visible(timeout=TRAINING)
    version.get_by_role("button", name="Put into service …").click()
    version.get_by_role("button", name="Put version 2 into service").click()
    expect(version.get_by_text("In service", exact=True)).to_be_visible()
    version.get_by_role("link", name="Inspect with it").click()
    choose_files(page, [broken])
    expect(page.locator(".verdict-word")).to_have_text("Reject")
    page.get_by_role("link", name="Products").click()
    expect(page.get_by_role("article", name="line 3")).to_contain_text("version 2")


def test_a_region_is_drawn_by_mouse_and_typed(empty_station: Station, open_page: OpenPage, cells: CellSplit) -> None:
    page = open_page(empty_station)
    make_product(page, "cells")
    choose_files(page, [*cells.train[:2]])
    frame = page.locator(".region-frame")
    expect(frame).to_be_visible()
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.9 * box["height"], steps=4)
    page.mouse.up()
    expect(page.get_by_text("Kept for the next training.")).to_be_visible()
    [product] = empty_station.get("/v1/products")["products"]
    address = f"/v1/products/{product['id']}"
    drawn = empty_station.get(address)["choices"]["region"]
    assert drawn == pytest.approx([30, 60, 150, 210], abs=3)
    page.get_by_label("width").fill("100")
    page.get_by_label("width").press("Tab")
    expect(page.get_by_text(re.compile("^100 . [0-9]+ px from"))).to_be_visible()
    page.get_by_role("button", name="The whole picture").click()
    expect(page.get_by_text("All of it.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("All of it.")).to_be_visible()


def test_files_that_cannot_be_used_and_names_are_told_as_text(
    empty_station: Station, open_page: OpenPage, cells: CellSplit, tmp_path: Path
) -> None:
    page = open_page(empty_station, noise=("status of 409", "status of 422"))
    make_product(page, "cells")
    evil = tmp_path / "<img src=x onerror=window.broken=1>.png"
    evil.write_bytes(cells.train[0].read_bytes())
    (tmp_path / "notes.png").write_bytes(b"no picture")
    choose_files(page, [evil, tmp_path / "notes.png"])
    expect(page.locator(".wall-tile")).to_have_count(1)
    expect(page.locator("[role=note]").first).to_contain_text("notes.png: The file is not a PNG")
    page.get_by_role("button", name="Look at").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name=evil.name)).to_be_visible()
    dialog.get_by_role("button", name="Remove for good").click()
    expect(page.locator(".wall-tile")).to_have_count(0)
    assert page.evaluate("window.broken") is None
    page.goto(f"{empty_station.url}/#/products")
    page.get_by_role("textbox", name="New product").fill("a/b")
    page.get_by_role("button", name="Make the product").click()
    expect(page.get_by_role("alert")).to_contain_text("a character that no file name may have")
