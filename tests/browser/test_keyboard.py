"""Without a mouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.station import Station

FOCUSED = """() => { const node = document.activeElement; const style = getComputedStyle(node);
    return {text: node.innerText ?? "", tag: node.tagName, box: node.getBoundingClientRect().toJSON(),
            outline: parseFloat(style.outlineWidth), kind: style.outlineStyle}; }"""


def test_the_first_stop_skips_to_the_content(station: Station, open_page: OpenPage) -> None:
    page = open_page(station)
    page.wait_for_selector(".drop")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Model")).to_be_focused()


@pytest.mark.parametrize("view", ["inspect", "live", "review", "recalibrate", "models"])
def test_every_stop_shows_that_it_has_the_focus(station: Station, open_page: OpenPage, view: str) -> None:
    page = open_page(station, view)
    settle(page)
    stops = 0
    for _ in range(200):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["tag"] == "BODY":
            break
        stops += 1
        assert focused["kind"] != "none", focused
        assert focused["outline"] >= 2, focused
        assert focused["box"]["width"] > 2, focused
        assert focused["box"]["height"] > 2, focused
    assert stops >= 6


def test_inspecting(station: Station, open_page: OpenPage, plates: Path) -> None:
    page = open_page(station)
    page.wait_for_selector(".drop")
    # Listened for from the start: the browser takes a moment to hand its dialogs over.
    page.on("filechooser", lambda chooser: chooser.set_files([plates / "good_01.png", plates / "scratch_3.png"]))
    tab_to(page, "Choose images")
    page.keyboard.press("Enter")
    expect(page.locator(".results .badge-reject")).to_have_count(1)
    page.wait_for_selector("[data-heat=shown]")
    tab_to(page, "good_01.png")
    page.keyboard.press("ArrowDown")
    assert "scratch_3.png" in page.evaluate(FOCUSED)["text"]
    page.keyboard.press("Enter")
    expect(page.locator(".picture-panel h2")).to_have_text("scratch_3.png")
    page.wait_for_selector("[data-heat=shown]")
    page.get_by_label("Heat map", exact=True).focus()
    page.keyboard.press("End")
    assert page.locator(".layer-heat").evaluate("node => node.style.opacity") == "1"


def test_going_to_a_view_moves_the_focus_there(station: Station, open_page: OpenPage) -> None:
    page = open_page(station)
    page.wait_for_selector(".drop")
    page.get_by_role("link", name="Models").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".model")
    expect(page.locator("main")).to_be_focused()
    expect(page).to_have_title("Models - differnet inspection station")
    expect(page.get_by_role("link", name="Models")).to_have_attribute("aria-current", "page")


def test_a_refresh_leaves_the_focus_alone(station: Station, open_page: OpenPage, plates: Path) -> None:
    page = open_page(station, "live")
    row = page.locator(".feed-row").nth(1)
    name = row.locator(".feed-name").inner_text()
    row.focus()
    station.inspect("plates", plates / "good_09.png", "comes-in-between.png")
    expect(page.locator(".feed-name").first).to_have_text("comes-in-between.png")
    assert name in page.evaluate(FOCUSED)["text"]


def tab_to(page: Page, text: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["tag"] == "BUTTON" and text in focused["text"]:
            return
    raise AssertionError(f"Tab does not reach {text!r}")


def settle(page: Page) -> None:
    page.wait_for_selector("h1")
    page.wait_for_load_state("networkidle")
