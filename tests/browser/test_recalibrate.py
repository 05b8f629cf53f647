"""From images to a new threshold: inspect, review and recalibrate, end to end."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from differnet.model_file.bundle import read_manifest
from tests.browser.conftest import OpenPage
from tests.browser.station import Station


def test_inspect_review_recalibrate(own_station: Station, open_page: OpenPage, plates: Path) -> None:
    page = open_page(own_station, noise=("status of 503",))
    page.set_input_files("#files", sorted(plates.glob("good_*.png")))
    expect(page.locator(".tally")).to_contain_text("40 images")
    expect(page.locator(".progress")).to_be_hidden()
    waiting = own_station.get("/v1/inspections?queue=true")["total"]
    assert waiting >= 12, "the fixture's model must doubt as many parts as the new threshold needs"

    page.get_by_role("link", name="Review").click()
    for left in range(waiting, 0, -1):
        expect(page.locator(".view-head")).to_contain_text(re.compile(rf"^Review\s*{left} parts? to review"))
        page.keyboard.press("g")
    expect(page.locator(".empty")).to_contain_text("Nothing to review")

    # Parts that nobody has to look at, so that those reviewed stand out as chosen.
    accepted = own_station.get("/v1/inspections?decision=accept&limit=1")["inspections"][0]["filename"]
    for _ in range(20):
        own_station.inspect("plates", plates / accepted)

    before = read_manifest(own_station.models / "plates.safetensors").calibration
    assert before is not None
    page.get_by_role("link", name="Recalibrate").click()
    page.get_by_label("False rejects").fill("8")
    page.get_by_label("Review", exact=True).fill("")
    expect(page.get_by_text(f"{waiting} parts reviewed as good; 8 % takes 12. That is enough.")).to_be_visible()
    # A service that is busy is asked again.
    told = "8 of 12 reviewed images are scored so far; ask again."
    busy = {"status": 503, "headers": {"Retry-After": "1"}, "json": {"detail": told}}
    page.route("**/calibrate", lambda route: route.fulfill(**busy), times=1)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text(told)).to_be_visible()
    preview = page.get_by_role("region", name="Preview")
    expect(preview).to_contain_text(f"From {waiting} images reviewed as good")
    expect(preview.get_by_role("note")).to_contain_text("no random sample of good parts")
    expect(preview.get_by_role("img", name=re.compile(r"Score scale: old .*, new "))).to_be_visible()
    cells = preview.locator("tbody td").all_inner_texts()
    assert sum(int(cell) for cell in cells[0::3]) == sum(int(cell) for cell in cells[1::3]) == 60
    assert read_manifest(own_station.models / "plates.safetensors").calibration == before

    page.get_by_role("button", name="Put the new threshold into use").click()
    expect(page.locator(".notice-good")).to_contain_text("is in use for plates.")
    after = read_manifest(own_station.models / "plates.safetensors").calibration
    assert after is not None
    assert after.false_reject_rate == 0.08
    assert after.images == waiting
    assert after.threshold != before.threshold
    assert after.review_threshold is None

    page.get_by_role("link", name="Inspect", exact=True).click()
    page.get_by_role("button", name="Clear the list").click()
    page.set_input_files("#files", plates / "good_00.png")
    page.wait_for_selector(".verdict")
    newest = own_station.get("/v1/inspections?limit=1")["inspections"][0]
    assert newest["threshold"] == after.threshold
    expect(page.locator(".verdict-word")).to_have_text(newest["decision"].capitalize())


def test_too_few_reviewed_parts_are_told(own_station: Station, open_page: OpenPage, plates: Path) -> None:
    own_station.inspect("plates", plates / "scratch_0.png")
    own_station.review(own_station.inspect("plates", plates / "good_00.png"), "good")
    page = open_page(own_station, "recalibrate", noise=("status of 409",))
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("alert")).to_contain_text(re.compile(r"\d+.*\."))
    expect(page.get_by_role("button", name="Put the new threshold into use")).to_have_count(0)


def test_rates_are_checked_before_anything_is_asked(station: Station, open_page: OpenPage) -> None:
    page = open_page(station, "recalibrate")
    for reject, review, said in (
        ("", "", "between 0 and 100"),
        ("abc", "", "between 0 and 100"),
        ("100", "", "between 0 and 100"),
        ("5", "4", "must exceed"),
        ("5", "200", "between 0 and 100"),
    ):
        page.get_by_label("False rejects").fill(reject)
        page.get_by_label("Review", exact=True).fill(review)
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("alert")).to_contain_text(said)


def test_a_preview_goes_when_what_was_asked_changes(own_station: Station, open_page: OpenPage, plates: Path) -> None:
    own_station.review(own_station.inspect("plates", plates / "good_00.png"), "good")
    page = open_page(own_station, "recalibrate")
    page.get_by_label("Also use the scores").check()
    page.get_by_role("button", name="Preview").click()
    confirm = page.get_by_role("button", name="Put the new threshold into use")
    expect(confirm).to_be_visible()
    page.get_by_label("False rejects").fill("20")
    expect(confirm).to_have_count(0)
