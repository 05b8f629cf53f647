"""API keys: the prompt, where the key is kept, and what a role may not do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, SaveFile
from tests.browser.station import Station

REFUSED = ("status of 401",)


@pytest.fixture
def guarded(make_station: Callable[[], Station], plates: Path) -> Station:
    """A service that asks for keys."""
    station = make_station()
    station.data.mkdir(parents=True)
    station.key = station.make_key("admin")
    station.lesser_key = station.make_key("inspect")
    station.start()
    station.inspect("plates", plates / "scratch_0.png")
    return station


def test_prompt_and_where_the_key_is_kept(guarded: Station, open_page: OpenPage) -> None:
    page = open_page(guarded, "live", noise=REFUSED)
    dialog = page.get_by_role("dialog", name="API key")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    enter(page, "wrong-key")
    expect(dialog.get_by_role("alert")).to_contain_text("does not accept this key")
    assert guarded.key is not None
    enter(page, guarded.key)
    expect(dialog).to_have_count(0)
    expect(page.locator(".feed-row")).to_have_count(1)
    page.wait_for_selector(".feed .thumb[data-image=shown]")
    kept = page.evaluate("[Object.values(sessionStorage), Object.values(localStorage), document.cookie]")
    assert guarded.key in kept[0]
    assert kept[1:] == [[], ""]
    assert guarded.key not in page.content()
    page.reload()
    expect(page.locator(".feed-row")).to_have_count(1)
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Forget key").click()
    expect(dialog).to_be_visible()


def test_pictures_and_report_come_with_the_key(guarded: Station, open_page: OpenPage, save_file: SaveFile) -> None:
    (guarded.models / "plates.html").write_text("<title>Report</title>", encoding="utf-8")
    page = open_page(guarded, "review", noise=REFUSED)
    assert guarded.key is not None
    enter(page, guarded.key)
    page.wait_for_selector("[data-heat=shown]")
    page.get_by_role("link", name="Models").click()
    file = save_file(page, page.get_by_role("button", name="Save the report"))
    assert file.name == "plates.report.html"
    assert file.read_text(encoding="utf-8") == "<title>Report</title>"


def test_a_role_that_may_only_inspect(guarded: Station, open_page: OpenPage) -> None:
    page = open_page(guarded, "review", noise=REFUSED)
    assert guarded.lesser_key is not None
    enter(page, guarded.lesser_key)
    expect(page.get_by_role("button", name="Good")).to_be_disabled()
    expect(page.get_by_text("this needs “review”")).to_be_visible()
    page.keyboard.press("g")
    page.get_by_role("link", name="Recalibrate").click()
    expect(page.get_by_role("button", name="Preview")).to_be_disabled()
    expect(page.get_by_text("this needs “admin”")).to_be_visible()
    assert guarded.get("/v1/inspections?queue=true")["total"] == 1


def enter(page: Page, key: str) -> None:
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Continue").click()
