"""The view Inspect: images in, verdicts out."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from differnet.images import load_image
from tests.browser.conftest import OpenPage, check_accessibility
from tests.browser.station import Station
from tests.cameras.recordings import make_video


def test_verdict_in_words_symbol_scale_and_p_value(station: Station, open_page: OpenPage, plates: Path) -> None:
    page = open_page(station)
    page.set_input_files("#files", plates / "scratch_2.png")
    verdict = page.locator(".verdict")
    expect(verdict.locator(".verdict-word")).to_have_text("Reject")
    expect(verdict.locator(".verdict-banner svg")).to_be_visible()
    scale = verdict.get_by_role("img", name=re.compile("Score scale: score .*threshold .*held-out good images"))
    expect(scale).to_be_visible()
    expect(scale.locator("rect.bar").nth(3)).to_be_visible()
    expect(verdict.locator(".p-value")).to_contain_text(re.compile(r"held-out good images? scored .*\(p.=."))
    newest = station.get("/v1/inspections?limit=1")["inspections"][0]
    assert newest["filename"] == "scratch_2.png"
    expect(verdict).to_contain_text(newest["model_id"])


def test_heat_map_lies_over_the_image_and_can_be_faded(station: Station, open_page: OpenPage, plates: Path) -> None:
    page = open_page(station)
    page.set_input_files("#files", plates / "scratch_2.png")
    page.wait_for_selector("[data-heat=shown]")
    image, heat = page.locator("canvas.layer").nth(0), page.locator("canvas.layer-heat")
    assert image.bounding_box() == heat.bounding_box()
    assert drawn(page, "canvas.layer:not(.layer-heat)") == 255
    assert drawn(page, "canvas.layer-heat") > 50
    slider = page.get_by_label("Heat map", exact=True)
    slider.fill("25")
    assert heat.evaluate("node => getComputedStyle(node).opacity") == "0.25"
    boxes = page.locator(".layer-boxes")
    assert boxes.locator("rect.box").count() == len(regions_of_newest(station))
    toggle = page.get_by_role("button", name="Regions")
    expect(toggle).to_have_attribute("aria-pressed", "true")
    toggle.click()
    expect(toggle).to_have_attribute("aria-pressed", "false")
    expect(boxes).to_be_hidden()


def test_a_heat_map_that_takes_long_is_waited_for(station: Station, open_page: OpenPage, plates: Path) -> None:
    page = open_page(station, noise=("status of 503",))
    busy = {"status": 503, "headers": {"Retry-After": "0"}, "json": {"detail": "The service is busy; try again."}}
    for address in ("**/heatmap.png*", "**/explanation"):
        page.route(address, lambda route: route.fulfill(**busy), times=1)
    page.set_input_files("#files", plates / "scratch_3.png")
    page.wait_for_selector("[data-heat=shown]")


def test_regions_lie_where_the_service_says(station: Station, open_page: OpenPage, plates: Path) -> None:
    page = open_page(station)
    page.set_input_files("#files", plates / "scratch_2.png")
    page.wait_for_selector("[data-heat=shown]")
    regions = regions_of_newest(station)
    assert regions, "a scratch must have a region"
    image = page.locator("canvas.layer").first.bounding_box()
    assert image is not None
    for i, region in enumerate(regions):
        box = page.locator("rect.box").nth(i).bounding_box()
        assert box is not None
        unit = image["width"] / 96
        assert abs(box["x"] - image["x"] - unit * region["x"]) < 3
        assert abs(box["y"] - image["y"] - unit * region["y"]) < 3


def test_a_large_region_has_a_ring_at_its_hottest_spot(
    station: Station, open_page: OpenPage, plates: Path, tmp_path: Path
) -> None:
    pixels = load_image(plates / "good_20.png").copy()
    pixels[10:80, 10:80] = 255 - pixels[10:80, 10:80] // 2
    Image.fromarray(pixels).save(tmp_path / "large.png")
    page = open_page(station)
    page.set_input_files("#files", [tmp_path / "large.png"])
    page.wait_for_selector("[data-heat=shown]")
    large = [each for each in regions_of_newest(station) if each["width"] * each["height"] > 0.1 * 96 * 96]
    assert large
    image = page.locator("canvas.layer").first.bounding_box()
    ring = page.locator("circle.box")
    expect(ring).to_have_count(len(large))
    shown = ring.first.bounding_box()
    assert image is not None
    assert shown is not None
    across = image["x"] + (large[0]["peak_x"] + 0.5) * image["width"] / 96
    down = image["y"] + (large[0]["peak_y"] + 0.5) * image["height"] / 96
    assert abs(shown["x"] + shown["width"] / 2 - across) < 3
    assert abs(shown["y"] + shown["height"] / 2 - down) < 3
    # A small one has none, which would hide what it is about.
    page.set_input_files("#files", [plates / "scratch_2.png"])
    expect(page.locator(".picture-panel h2")).to_have_text("scratch_2.png")
    page.wait_for_selector("[data-heat=shown]")
    few = [each for each in regions_of_newest(station) if each["width"] * each["height"] > 0.1 * 96 * 96]
    expect(ring).to_have_count(len(few))


def test_many_images_and_one_that_is_none(station: Station, open_page: OpenPage, plates: Path) -> None:
    page = open_page(station, noise=("status of 4(15|22|00)",))
    good = [payload(plates / f"good_{i:02}.png") for i in range(10, 15)]
    broken: FilePayload = {"name": "notes.png", "mimeType": "image/png", "buffer": b"no image"}
    page.set_input_files("#files", [*good, broken])
    expect(page.locator(".tally")).to_contain_text("6 images")
    expect(page.locator(".tally")).to_contain_text("1 failed")
    expect(page.locator(".results .badge-accept, .results .badge-review, .results .badge-reject")).to_have_count(5)
    page.get_by_role("button", name="notes.png").click()
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text(re.compile(r"[a-z].*\."))
    expect(page.locator(".verdict")).to_have_count(0)


def test_pictures_of_a_camera_are_inspected_and_sent_on(
    tmp_path: Path, plates_model: Path, open_page: OpenPage, plates: Path
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "plates.safetensors").write_bytes(plates_model.read_bytes())
    names = ["good_00.png", "good_01.png", "scratch_0.png"]
    video = make_video(tmp_path / "line.mkv", [load_image(plates / name) for name in names], rate=2.0)
    # Nobody listens there.
    options = ("--camera", f"line 1={video}", "--to", "plates=http://127.0.0.1:9/verdicts")
    station = Station(tmp_path / "models", tmp_path / "data", *options).start()
    page = open_page(station)
    page.get_by_label("From a camera").get_by_role("combobox").select_option("line 1")
    expect(page.get_by_role("img", name="What camera line 1 sees")).to_be_visible()
    page.get_by_role("button", name="Inspect a picture").click()
    expect(page.locator(".picture-panel h2")).to_contain_text("line 1 0000")
    check_accessibility(page)
    page.get_by_label("Seconds between two pictures").fill("0,3")
    page.get_by_role("button", name="Inspect one every so often").click()
    expect(page.locator(".results .badge-reject")).not_to_have_count(0)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("link", name="Live").click()
    told = page.get_by_text("Verdicts of plates are sent to")
    expect(told).to_contain_text(re.compile("[0-9] wait. It takes none now: "))
    page.close()
    station.stop()


def test_file_names_are_text_and_nothing_else(station: Station, open_page: OpenPage, plates: Path) -> None:
    page = open_page(station)
    name = "<img src=x onerror=window.broken=1><b>.png"
    page.set_input_files("#files", [payload(plates / "good_07.png", name)])
    page.wait_for_selector("[data-heat=shown]")
    expect(page.locator(".picture-panel h2")).to_have_text(name)
    page.get_by_role("link", name="Live").click()
    expect(page.locator(".feed-name").first).to_have_text(name)
    assert page.evaluate("window.broken") is None
    assert page.locator("main b, main img").count() == 0


def test_dropping_on_the_page(station: Station, open_page: OpenPage, plates: Path) -> None:
    page = open_page(station)
    page.wait_for_selector(".drop")
    content = list((plates / "good_08.png").read_bytes())
    transfer = page.evaluate_handle(
        """content => { const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(content)], "dropped.png", {type: "image/png"}));
        return transfer; }""",
        content,
    )
    page.dispatch_event(".drop", "dragover", {"dataTransfer": transfer})
    expect(page.locator(".drop")).to_have_class(re.compile("drop-over"))
    page.dispatch_event(".drop", "drop", {"dataTransfer": transfer})
    expect(page.locator(".picture-panel h2")).to_have_text("dropped.png")
    expect(page.locator(".drop")).not_to_have_class(re.compile("drop-over"))


def test_verdicts_are_read_out_and_results_stay(station: Station, open_page: OpenPage, plates: Path) -> None:
    page = open_page(station)
    page.set_input_files("#files", plates / "scratch_3.png")
    expect(page.get_by_role("status")).to_contain_text(re.compile(r"scratch_3\.png: Reject, score [\d.,]+"))
    page.set_input_files("#files", [plates / "scratch_3.png", plates / "good_05.png"])
    expect(page.get_by_role("status")).to_contain_text(re.compile(r"3 images: \d accept, \d review, \d reject"))
    page.get_by_role("link", name="Models").click()
    page.wait_for_selector(".model")
    page.get_by_role("link", name="Inspect", exact=True).click()
    expect(page.locator(".result")).to_have_count(3)
    expect(page.locator(".picture-panel h2")).to_have_text("scratch_3.png")


def drawn(page: Page, selector: str) -> int:
    """The highest opacity of a canvas's pixels."""
    highest: int = page.locator(selector).first.evaluate(
        """canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
        .reduce((most, value, i) => (i % 4 === 3 ? Math.max(most, value) : most), 0)"""
    )
    return highest


def regions_of_newest(station: Station) -> list[dict[str, float]]:
    newest = station.get("/v1/inspections?limit=1")["inspections"][0]
    regions: list[dict[str, float]] = station.get(newest["explanation_url"])["regions"]
    return regions


def payload(file: Path, name: str | None = None) -> FilePayload:
    return {"name": name or file.name, "mimeType": "image/png", "buffer": file.read_bytes()}
