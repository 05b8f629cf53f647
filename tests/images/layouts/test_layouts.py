"""Good images and labelled test images of products in the MVTec layout and of plain folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from differnet.errors import DatasetError
from differnet.images import GOOD, Collection, LabelledImage, read_good_images, read_test_images

Reader = Callable[[Path], Collection | tuple[LabelledImage, ...]]

BOTTLE = (
    "train/good/000.png",
    "train/good/001.png",
    "test/good/000.png",
    "test/crack/000.png",
    "test/crack/001.jpg",
    "test/blot/000.png",
    "test/.cache/000.png",
    "test/readme.txt",
    "ground_truth/crack/000_mask.png",
    "ground_truth/crack/001.png",
)


def lay_out(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.fixture
def bottle(tmp_path: Path) -> Path:
    return lay_out(tmp_path, *BOTTLE)


def test_of_a_product_the_good_training_images_are_read(bottle: Path) -> None:
    good = bottle / "train" / "good"
    assert read_good_images(bottle).paths == [good / "000.png", good / "001.png"]
    assert read_good_images(str(bottle)) == read_good_images(bottle)


def test_other_training_folders_are_not_good(bottle: Path) -> None:
    lay_out(bottle, "train/crack/000.png")
    assert {path.parent.name for path in read_good_images(bottle).paths} == {GOOD}


def test_a_plain_folder_a_list_and_a_single_image_are_taken_as_they_are(tmp_path: Path) -> None:
    lay_out(tmp_path, "parts/a.png", "parts/b.png")
    (tmp_path / "l.txt").write_text("parts/a.png")
    a, b = tmp_path / "parts" / "a.png", tmp_path / "parts" / "b.png"
    assert read_good_images(tmp_path / "parts").paths == [a, b]
    assert read_good_images(tmp_path / "l.txt").paths == [a]
    assert read_good_images(a).paths == [a]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(("train/bad/0.png", "0.png"), "train: has no folder 'good'", id="train-without-good"),
        pytest.param(("test/good/0.png",), "has no folder 'train/good'", id="only-test"),
        pytest.param(("ground_truth/a/0.png",), "has no folder 'train/good'", id="only-masks"),
        pytest.param(("train/good/notes.doc",), "no images found", id="empty-good"),
        pytest.param(("notes.doc",), "no images found", id="empty-folder"),
    ],
)
def test_a_product_without_good_images_is_an_error_that_says_where_they_belong(
    tmp_path: Path, files: tuple[str, ...], message: str
) -> None:
    # Test images, defective ones among them, must never be learnt from by mistake.
    lay_out(tmp_path, *files)
    with pytest.raises(DatasetError) as raised:
        read_good_images(tmp_path)
    assert message in str(raised.value)
    assert str(tmp_path) in str(raised.value)


def test_test_images_come_by_kind_and_path_with_their_masks(bottle: Path) -> None:
    test, masks = bottle / "test", bottle / "ground_truth"
    assert read_test_images(bottle) == (
        LabelledImage(test / "blot" / "000.png", "blot"),
        LabelledImage(test / "crack" / "000.png", "crack", masks / "crack" / "000_mask.png"),
        LabelledImage(test / "crack" / "001.jpg", "crack", masks / "crack" / "001.png"),
        LabelledImage(test / "good" / "000.png", "good"),
    )
    assert read_test_images(str(bottle)) == read_test_images(bottle)


def test_the_mask_that_calls_itself_one_is_preferred(bottle: Path) -> None:
    lay_out(bottle, "ground_truth/crack/000.png")
    masks = {image.path.name: image.mask for image in read_test_images(bottle) if image.kind == "crack"}
    assert masks["000.png"] == bottle / "ground_truth" / "crack" / "000_mask.png"


def test_only_the_folder_good_holds_good_parts(bottle: Path) -> None:
    defective = {image.kind: image.is_defective for image in read_test_images(bottle)}
    assert defective == {"blot": True, "crack": True, "good": False}


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        pytest.param(("test/crack/0.png",), "'test/good'", id="no-good"),
        pytest.param(("test/good/0.png",), "'test/<kind of defect>'", id="no-defect"),
        pytest.param(("test/good/0.png", "test/.crack/0.png"), "'test/<kind of defect>'", id="hidden-defect"),
        pytest.param(("test/good.png", "test/crack/0.png"), "'test/good'", id="good-is-a-file"),
        pytest.param(("train/good/0.png",), "'test/good'", id="no-test"),
    ],
)
def test_without_good_or_defective_test_images_the_error_names_the_folder(
    tmp_path: Path, files: tuple[str, ...], missing: str
) -> None:
    lay_out(tmp_path, *files)
    with pytest.raises(DatasetError) as raised:
        read_test_images(tmp_path)
    assert f"{tmp_path}: has no folder {missing}" in str(raised.value)


@pytest.mark.parametrize("read", [read_good_images, read_test_images])
def test_a_product_that_does_not_exist_is_an_error_that_names_it(tmp_path: Path, read: Reader) -> None:
    with pytest.raises(DatasetError, match="no-such-product"):
        read(tmp_path / "no-such-product")


def test_an_empty_kind_of_defect_is_an_error_that_names_it(bottle: Path) -> None:
    (bottle / "test" / "dent").mkdir()
    with pytest.raises(DatasetError, match="dent: no images found"):
        read_test_images(bottle)
