"""The view Models: what is served, and what cannot be."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.station import Station


def test_card(station: Station, open_page: OpenPage) -> None:
    page = open_page(station, "models")
    card = page.get_by_role("article", name="plates")
    told = station.get("/v1/models/plates")
    expect(card).to_contain_text("Ready")
    for word in (told["model_id"], told["extractor"], f"{told['training_images']} good images", "plates.safetensors"):
        expect(card).to_contain_text(word)
    expect(card.get_by_role("img", name=re.compile("Score scale"))).to_be_visible()


def test_broken_files_are_named_as_they_come(own_station: Station, open_page: OpenPage) -> None:
    page = open_page(own_station, "models")
    expect(page.get_by_role("article")).to_have_count(1)
    (own_station.models / "broken.safetensors").write_bytes(b"no model at all")
    card = page.get_by_role("article", name="broken")
    expect(card).to_contain_text("Broken file")
    expect(card.get_by_role("alert")).to_contain_text(re.compile(r"\w+.*\."))


def test_a_broken_newer_file_leaves_the_old_one_in_use(own_station: Station, open_page: OpenPage) -> None:
    page = open_page(own_station, "models")
    file = own_station.models / "plates.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    card = page.get_by_role("article", name="plates")
    expect(card).to_contain_text("New file is broken")
    expect(card).to_contain_text("The version loaded before is still served.")


def test_report_opens_beside(own_station: Station, open_page: OpenPage) -> None:
    report = "<!DOCTYPE html><title>Report</title><style>h1 { color: rgb(1, 2, 3) }</style><h1>Report of plates</h1>"
    (own_station.models / "plates.html").write_text(report, encoding="utf-8")
    page = open_page(own_station, "models")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open the report").click()
    heading = opened.value.get_by_role("heading", name="Report of plates")
    expect(heading).to_have_css("color", "rgb(1, 2, 3)")
