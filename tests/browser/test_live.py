"""The view Live: what comes in, by itself."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.station import Station


def test_new_inspections_appear_until_paused(station: Station, open_page: OpenPage, plates: Path) -> None:
    page = open_page(station, "live")
    first = page.locator(".feed-name").first
    station.inspect("plates", plates / "good_15.png", "arrives.png")
    expect(first).to_have_text("arrives.png")
    page.get_by_role("button", name="Pause").click()
    station.inspect("plates", plates / "good_16.png", "unseen.png")
    # Longer than the page waits between two looks.
    page.wait_for_timeout(4000)
    expect(first).to_have_text("arrives.png")
    page.get_by_role("button", name="Go on").click()
    expect(first).to_have_text("unseen.png")


def test_filter_by_decision(station: Station, open_page: OpenPage) -> None:
    page = open_page(station, "live")
    for decision in ("Reject", "Accept", "Review"):
        page.get_by_role("button", name=decision, exact=True).click()
        total = station.get(f"/v1/inspections?decision={decision.lower()}&limit=1")["total"]
        expect(page.locator(".feed-panel .panel-head")).to_contain_text(re.compile(f"^Inspections{total} "))
        shown = page.locator(".feed-badges .badge").all_inner_texts()
        assert set(shown) <= {decision}


def test_counts_agree_with_the_service(station: Station, open_page: OpenPage) -> None:
    page = open_page(station, "live")
    counts = station.get("/v1/models/plates/statistics?hours=24")["counts"]
    for name, word in (("total", "Inspected"), ("accept", "Accept"), ("review", "Review"), ("reject", "Reject")):
        tile = page.locator(".tile").filter(has=page.get_by_text(word, exact=True))
        expect(tile.locator(".tile-value")).to_have_text(str(counts[name]))


def test_charts_once_there_are_enough(own_station: Station, open_page: OpenPage, plates: Path) -> None:
    page = open_page(own_station, "live")
    expect(page.get_by_text("No subgroup yet")).to_be_visible()
    for i in range(20):
        own_station.inspect("plates", plates / f"good_{i:02}.png")
    chart = page.get_by_role("img", name=re.compile("Control chart: 2 subgroups of 10 inspections"))
    expect(chart).to_be_visible()
    points = own_station.get("/v1/models/plates/statistics?hours=24")["control_chart"]["points"]
    assert len(points) == 2
    expect(chart.locator(".point")).to_have_count(2)


def test_thumbnails_and_the_way_to_one_inspection(station: Station, open_page: OpenPage) -> None:
    page = open_page(station, "live")
    row = page.locator(".feed-row").first
    name = row.locator(".feed-name").inner_text()
    page.wait_for_selector(".feed .thumb[data-image=shown]")
    row.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    page.wait_for_selector("[data-heat=shown]")
    page.get_by_role("link", name="Back to live").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Live")


def test_older_ones_on_demand(own_station: Station, open_page: OpenPage, plates: Path) -> None:
    for i in range(35):
        own_station.inspect("plates", plates / f"good_{i % 40:02}.png", f"part-{i}.png")
    page = open_page(own_station, "live")
    expect(page.locator(".feed-row")).to_have_count(30)
    page.get_by_role("button", name="Show older ones").click()
    expect(page.locator(".feed-row")).to_have_count(35)
    own_station.inspect("plates", plates / "good_01.png", "newest.png")
    expect(page.locator(".feed-name").first).to_have_text("newest.png")
    expect(page.locator(".feed-row")).to_have_count(36)


def test_a_service_that_went_away_is_told_and_found_again(
    own_station: Station, open_page: OpenPage, plates: Path
) -> None:
    own_station.inspect("plates", plates / "good_01.png")
    page = open_page(own_station, "live", noise=("ERR_", "status of 503"))
    expect(page.locator(".feed-row")).to_have_count(1)
    own_station.stop()
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached.")
    own_station.start()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".feed-row")).to_have_count(1)
