"""From an empty station to a released model and a rejected part, and back, on photographs of solar cells."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from differnet import DifferNet
from differnet.images import load_image
from differnet.images.solar_cells import CellSplit, choose_cells, find_dataset
from differnet_runtime import Inspector
from tests.browser.conftest import FIREFOX, OpenPage, SaveFile, check_accessibility
from tests.browser.station import Station
from tests.cameras.recordings import make_video

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
    """By the button and the system's own dialog; of those Firefox tells only the first by BiDi."""
    chosen = page.locator("#files")
    if FIREFOX and chosen.get_attribute("data-chosen"):
        chosen.set_input_files(files)
        return
    chosen.evaluate("input => { input.dataset.chosen = true; }")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose images").click()
    chooser.value.set_files(files)


def make_product(page: Page, name: str) -> None:
    page.get_by_role("link", name="Train a model").click()
    page.get_by_role("textbox", name="New product").fill(name)
    page.get_by_role("button", name="Make the product").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def test_from_an_empty_station_to_a_rejected_part(
    empty_station: Station, open_page: OpenPage, save_file: SaveFile, cells: CellSplit
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
    cancel = page.get_by_role("button", name="Cancel")
    cancel.focus()
    cancel.evaluate("button => { button.dataset.first = 'yes'; }")
    percent = page.locator(".job-words .number")
    expect(percent).not_to_have_text(percent.inner_text(), timeout=TRAINING)
    expect(cancel).to_be_focused()
    expect(cancel).to_have_attribute("data-first", "yes")
    version = page.get_by_role("article", name="Version 1")
    expect(version).to_be_visible(timeout=TRAINING)
    # The broken one was learnt from, but does not count for the threshold.
    expect(version).to_contain_text("on average at most 5 % of good parts like these 20 pictures")
    expect(version.locator(f".wall-tile:has([title='{broken.name}'])")).to_contain_text("not counted")
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
    expect(page.get_by_role("heading", name="Inspect", exact=True)).to_be_visible()
    choose_files(page, [broken])
    expect(page.locator(".verdict-word")).to_have_text("Reject")
    page.get_by_role("link", name="Products").click()
    expect(page.get_by_role("article", name="line 3")).to_contain_text("version 2")

    [rejected] = empty_station.get("/v1/inspections")["inspections"]
    empty_station.review(empty_station.inspect(rejected["model"], cells.test_defective[2]), "defective")
    page.get_by_role("link", name="Cells & 'line 3'", exact=True).click()
    compare_versions(page)
    check_files(page, save_file, broken, rejected["score"])
    remove_first_version(page)


def compare_versions(page: Page) -> None:
    """The second with the first, on a part that neither learnt."""
    expect(page.get_by_role("region", name="Versions", exact=True)).to_contain_text(
        "0 good and 1 defective parts, from reviews. Enough to tell versions apart that differ much: "
        "30 more good and 9 more defective ones."
    )
    page.get_by_role("region", name="Compare versions").get_by_role("button", name="Compare").click()
    page.get_by_role("link", name="Version 2 against 1").click(timeout=TRAINING)
    expect(page.get_by_role("table")).to_contain_text("Escapes")
    check_accessibility(page)
    page.get_by_role("link", name="Back to the product").click()


def check_files(page: Page, save_file: SaveFile, image: Path, score: float) -> None:
    """The files of the version in service judge as it does."""
    version = page.get_by_role("article", name="Version 2")
    version.get_by_text("Files of this version").click()
    version.get_by_role("button", name="Export").click()
    words = ("Save the model file", "Save Cells & 'line 3'.onnx")
    model, exported = (save_file(page, version.get_by_role("button", name=word), TRAINING) for word in words)
    expected = pytest.approx(score, rel=1e-3)
    assert DifferNet.load(model, device="cpu").inspect(image).score == expected
    verdict = Inspector(exported, threads=1).inspect(image)
    assert verdict.score == expected
    assert verdict.decision == "reject"


def remove_first_version(page: Page) -> None:
    first = page.get_by_role("article", name="Version 1")
    first.get_by_text("Files of this version").click()
    first.get_by_role("button", name="Remove this version …").click()
    first.get_by_role("button", name="Remove version 1").click()
    expect(first).to_have_count(0)
    expect(page.get_by_role("region", name="Versions")).to_contain_text("Version 1 was removed.")


def test_pictures_come_from_a_camera_and_a_folder(tmp_path: Path, open_page: OpenPage, cells: CellSplit) -> None:
    for name in ("models", "good"):
        (tmp_path / name).mkdir()
    for file in cells.train[6:9]:
        shutil.copy(file, tmp_path / "good")
    video = make_video(tmp_path / "line.mkv", [load_image(file) for file in cells.train[:6]], rate=2.0)
    options = ("--camera", f"line 1={video}", "--folder", f"good parts={tmp_path / 'good'}")
    station = Station(tmp_path / "models", tmp_path / "data", *options).start("/healthz")
    page = open_page(station)
    make_product(page, "cells")
    source = page.get_by_label("From a camera or a folder").get_by_role("combobox")
    source.select_option("Camera line 1")
    seen = page.get_by_role("img", name="What camera line 1 sees")
    expect(seen).to_be_visible()
    first = seen.get_attribute("src")
    page.get_by_role("button", name="Take a picture").click()
    expect(page.locator(".wall-tile")).to_have_count(1)
    expect(seen).not_to_have_attribute("src", str(first))  # it is a moving one
    check_accessibility(page)
    page.get_by_label("Seconds between two pictures").fill("0,5")
    page.get_by_role("button", name="Take one every so often").click()
    expect(page.get_by_text("Pictures were taken from line 1: 5 pictures added, 1 already there")).to_be_visible()
    expect(page.locator(".wall-tile")).to_have_count(6)

    source.select_option("Folder good parts")
    expect(seen).to_have_count(0)
    page.get_by_label("Wait for new ones").fill("50")
    page.get_by_role("button", name="Take the folder's pictures").click()
    expect(page.locator(".wall-tile")).to_have_count(9)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped: good parts: 3 pictures added")).to_be_visible()
    page.close()  # it asks for what is new
    station.stop()


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
    expect(page.get_by_text("Kept for the next training.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("All of it.")).to_be_visible()


def test_a_training_waits_for_what_was_just_chosen(
    empty_station: Station, open_page: OpenPage, cells: CellSplit
) -> None:
    page = open_page(empty_station)
    make_product(page, "cells")
    choose_files(page, [*cells.train[:4]])
    kept = page.get_by_text("Kept for the next training.")
    share = page.get_by_label("Good parts that may be rejected")
    share.fill("50")
    share.press("Tab")
    expect(kept).to_be_visible()
    expect(page.get_by_role("region", name="Training")).to_contain_text("1 more are needed")
    choose_files(page, [cells.train[4]])

    held: list[Route] = []
    page.route("**/choices", lambda route: held.append(route))  # noqa: PLW0108 - a method of a list is not taken
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[-1]))
    page.get_by_label("Kind of training").select_option("fast")
    expect(kept).to_have_count(0)
    page.get_by_label("Parts lie").select_option("none")
    train = page.get_by_role("button", name="Train a new version")
    train.click()
    for _ in range(2):  # the second is not sent before the first is answered
        while not held:
            page.wait_for_timeout(50)
        page.wait_for_timeout(300)
        assert "train" not in asked
        held.pop().continue_()
        assert not held
    page.get_by_role("button", name="Cancel").click()
    assert asked.index("train") > len(asked) - 1 - asked[::-1].index("choices")
    [product] = empty_station.get("/v1/products")["products"]
    choices = empty_station.get(f"/v1/products/{product['id']}")["choices"]
    assert (choices["preset"], choices["views"]) == ("fast", "none")

    page.unroute("**/choices")
    share.fill("none")
    expect(train).to_be_enabled()
    train.click()
    expect(page.get_by_text("The share must lie between").first).to_be_visible()
    assert asked.count("train") == 1


def test_what_is_pressed_or_has_the_focus_outlives_being_drawn_anew(
    empty_station: Station, open_page: OpenPage, cells: CellSplit
) -> None:
    page = open_page(empty_station)
    make_product(page, "cells")
    choose_files(page, [*cells.train[:2]])
    look = page.get_by_role("button", name=f"Look at {cells.train[1].name}")
    expect(look).to_be_visible()
    held: list[Route] = []
    page.route("**/pictures", lambda route: held.append(route))  # noqa: PLW0108 - a method of a list is not taken

    def choose(word: str) -> Route:
        """Choose how parts lie, after which all pictures are asked for and drawn anew; that answer is held back."""
        page.get_by_label("Parts lie").select_option(word)
        while not held:
            page.wait_for_timeout(50)
        return held.pop()

    answer = choose("none")
    look.focus()
    look.evaluate("button => { button.dataset.old = 'yes'; }")
    answer.continue_()
    expect(look).not_to_have_attribute("data-old", "yes")
    expect(look).to_be_focused()

    answer = choose("auto")
    leave = page.get_by_role("button", name=f"Leave out {cells.train[0].name}")
    leave.hover()
    page.mouse.down()
    with page.expect_response("**/pictures"):
        answer.continue_()
    page.wait_for_timeout(3000)
    page.mouse.up()
    expect(leave).to_have_attribute("aria-pressed", "true")


def test_a_product_of_the_list_stays_while_its_training_goes_on(empty_station: Station, open_page: OpenPage) -> None:
    page = open_page(empty_station)
    make_product(page, "cells")
    shares = iter(range(1, 100))

    def training(route: Route) -> None:
        """The answer as it is while the product trains, farther each time."""
        answer = route.fetch()
        progress = {"stage": "features", "share": next(shares) / 100, "seconds_left": 50}
        job = {"id": "j", "kind": "train", "state": "running", "progress": progress}
        body = answer.json()
        body["products"][0]["active"] = job
        route.fulfill(response=answer, json=body)

    page.route("**/v1/products", training)
    page.get_by_role("link", name="All products").click()
    entry = page.get_by_role("article", name="cells")
    expect(entry).to_contain_text("Training")
    entry.evaluate("article => { article.dataset.first = 'yes'; }")
    percent = entry.locator(".job-words .number")
    expect(percent).not_to_have_text(percent.inner_text(), timeout=20_000)
    expect(entry).to_have_attribute("data-first", "yes")
    page.unroute("**/v1/products")
    expect(entry).not_to_contain_text("Training", timeout=20_000)


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
    # One that is removed while it is fetched is not found, of which the browser's console tells.
    dialog.locator("[data-image=shown]").wait_for()
    dialog.get_by_role("button", name="Remove for good").click()
    expect(page.locator(".wall-tile")).to_have_count(0)
    assert page.evaluate("window.broken") is None
    page.get_by_role("link", name="All products").click()
    page.get_by_role("textbox", name="New product").fill("a/b")
    page.get_by_role("button", name="Make the product").click()
    expect(page.get_by_role("alert")).to_contain_text("a character that no file name may have")
