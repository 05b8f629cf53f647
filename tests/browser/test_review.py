"""The view Review: judging refused and doubtful parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.station import Station


@pytest.fixture
def queue(own_station: Station, plates: Path) -> list[str]:
    """Names of the parts that wait, in the order of the queue."""
    for name in ["scratch_0.png", *(f"good_{i:02}.png" for i in range(5)), "scratch_1.png"]:
        own_station.inspect("plates", plates / name)
    waiting = [item["filename"] for item in own_station.get("/v1/inspections?queue=true")["inspections"]]
    assert len(waiting) >= 4
    return waiting


def test_review_by_keys(own_station: Station, open_page: OpenPage, queue: list[str]) -> None:
    page = open_page(own_station, "review")
    expect(shown(page)).to_have_text(queue[0])
    page.keyboard.press("d")
    expect(shown(page)).to_have_text(queue[1])
    page.keyboard.press("g")
    expect(shown(page)).to_have_text(queue[2])
    page.keyboard.press("u")
    expect(shown(page)).to_have_text(queue[3])
    reviews = [found(own_station, name)["review"] for name in queue[:4]]
    assert reviews == ["defective", "good", "unsure", None]


def test_undo_takes_a_review_back(own_station: Station, open_page: OpenPage, queue: list[str]) -> None:
    page = open_page(own_station, "review")
    expect(shown(page)).to_have_text(queue[0])
    page.keyboard.press("g")
    expect(shown(page)).to_have_text(queue[1])
    page.keyboard.press("d")
    expect(shown(page)).to_have_text(queue[2])
    page.keyboard.press("z")
    expect(shown(page)).to_have_text(queue[1])
    page.get_by_role("button", name="Undo").click()
    expect(shown(page)).to_have_text(queue[0])
    assert [found(own_station, name)["review"] for name in queue[:2]] == [None, None]
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    expect(page.locator(".view-head")).to_contain_text(f"{len(queue)} parts to review")


def test_arrows_move_without_judging(own_station: Station, open_page: OpenPage, queue: list[str]) -> None:
    page = open_page(own_station, "review")
    expect(shown(page)).to_have_text(queue[0])
    page.keyboard.press("ArrowRight")
    expect(shown(page)).to_have_text(queue[1])
    page.keyboard.press("ArrowLeft")
    expect(shown(page)).to_have_text(queue[0])
    page.keyboard.press("ArrowLeft")
    expect(shown(page)).to_have_text(queue[0])
    assert own_station.get("/v1/inspections?queue=true")["total"] == len(queue)


def test_a_note_is_kept_and_letters_in_it_do_not_judge(
    own_station: Station, open_page: OpenPage, queue: list[str]
) -> None:
    page = open_page(own_station, "review")
    expect(shown(page)).to_have_text(queue[0])
    note = page.get_by_label("Note")
    note.click()
    page.keyboard.type("dug up: a gouge")
    expect(shown(page)).to_have_text(queue[0])
    page.get_by_role("button", name="Defective").click()
    expect(shown(page)).to_have_text(queue[1])
    expect(note).to_have_value("")
    first = found(own_station, queue[0])
    assert (first["review"], first["note"]) == ("defective", "dug up: a gouge")


def test_keys_can_be_switched_off(own_station: Station, open_page: OpenPage, queue: list[str]) -> None:
    page = open_page(own_station, "review")
    page.get_by_label("Keys: G good").uncheck()
    page.locator("h1").click()
    page.keyboard.press("g")
    page.wait_for_timeout(500)
    expect(shown(page)).to_have_text(queue[0])
    assert found(own_station, queue[0])["review"] is None


def test_the_queue_ends_and_fills_again_by_itself(
    own_station: Station, open_page: OpenPage, queue: list[str], plates: Path
) -> None:
    page = open_page(own_station, "review")
    for name in queue:
        expect(shown(page)).to_have_text(name)
        page.keyboard.press("g")
    expect(page.locator(".empty")).to_contain_text(f"{len(queue)} parts reviewed in this sitting")
    own_station.inspect("plates", plates / "scratch_2.png")
    expect(shown(page)).to_have_text("scratch_2.png")
    page.wait_for_selector("[data-heat=shown]")


def test_a_review_that_fails_is_told_and_the_part_stays(
    own_station: Station, open_page: OpenPage, queue: list[str]
) -> None:
    page = open_page(own_station, "review", noise=("ERR_",))
    expect(shown(page)).to_have_text(queue[0])
    page.wait_for_selector("[data-heat=shown]")
    page.route("**/review", lambda route: route.abort())
    page.keyboard.press("g")
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached.")
    expect(shown(page)).to_have_text(queue[0])
    page.unroute("**/review")
    page.keyboard.press("g")
    expect(shown(page)).to_have_text(queue[1])
    expect(page.get_by_role("alert")).to_have_count(0)


def shown(page: Page) -> Any:  # noqa: ANN401 - a locator, for expect
    return page.locator(".review-picture h2")


def found(station: Station, name: str) -> dict[str, Any]:
    inspections = station.get("/v1/inspections?limit=100")["inspections"]
    return next(inspection for inspection in inspections if inspection["filename"] == name)
