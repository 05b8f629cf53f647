"""Products told by the names of their folders: what is learnt, tested with, and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from differnet.errors import DatasetError
from differnet.images import GOOD, read_good_images, read_test_images
from differnet.images.layouts import find_layout


def lay_out(root: Path, *names: str) -> Path:
    """Empty files: layouts look at names alone."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def several(folder: str, count: int, name: str = "{}.png") -> list[str]:
    return [f"{folder}/{name.format(number)}" for number in range(count)]


def names(root: Path, paths: list[Path]) -> set[str]:
    return {path.relative_to(root).as_posix() for path in paths}


# Folders of good parts (of 25 images each) and of defective ones (2 each), and what they may be called.
FLAT = [
    ("OK", ["NG"]),
    ("ok", ["nok"]),
    ("good", ["bad"]),
    ("Good", ["Defective"]),
    ("normal", ["abnormal"]),
    ("Normal", ["Anomaly"]),
    ("normal", ["anomalous"]),
    ("pass", ["fail"]),
    ("gut", ["schlecht"]),
    ("i.O.", ["n.i.O."]),
    ("IO", ["NIO"]),
    ("bueno", ["malo"]),
    ("bon", ["mauvais"]),
    ("bons", ["défauts"]),
    ("良品", ["不良品"]),
    ("正常", ["异常"]),
    ("good", ["reject", "scrap"]),
    ("ok_front", ["def_front"]),
    ("good_parts", ["not_good"]),
    ("no_defect", ["defect"]),
    ("NODefect_images", ["Defect_images"]),
    ("good", ["crack", "colour"]),
    ("Data/Images/Normal", ["Data/Images/Anomaly"]),
    ("bottle/OK", ["bottle/NG"]),
]


@pytest.mark.parametrize(("good", "defective"), FLAT)
def test_of_folders_side_by_side_good_ones_are_learnt_but_for_a_fifth_that_is_tested_with(
    tmp_path: Path, good: str, defective: list[str]
) -> None:
    lay_out(tmp_path, *several(good, 25), *(file for kind in defective for file in several(kind, 2)))
    learnt = read_good_images(tmp_path)
    tested = read_test_images(tmp_path)
    kept = {image.path for image in tested if not image.is_defective}
    assert (len(learnt.paths), len(kept)) == (20, 5)
    assert names(tmp_path, [*learnt.paths, *kept]) == set(several(good, 25))
    assert "5 of 25 good images, which are kept for 'differnet evaluate'" in learnt.passed_over
    assert {image.kind for image in tested if image.is_defective} == {Path(kind).name for kind in defective}
    assert sum(image.is_defective for image in tested) == 2 * len(defective)


def test_what_is_kept_for_testing_is_the_same_for_a_copy_and_leaves_enough_for_a_threshold(tmp_path: Path) -> None:
    for root in ("a", "b/c"):
        lay_out(tmp_path / root, *several("OK", 21), *several("NG", 2))
    first, second = (names(tmp_path / root, read_good_images(tmp_path / root).paths) for root in ("a", "b/c"))
    assert first == second
    assert len(first) == 19


def test_masks_beside_ok_and_ng_are_not_learnt_but_found(tmp_path: Path) -> None:
    lay_out(tmp_path, *several("OK", 10), *several("NG", 3), *several("MASK", 2))
    learnt = read_good_images(tmp_path)
    assert {path.parent.name for path in learnt.paths} == {"OK"}
    assert "3 image(s) in 'NG'" in learnt.passed_over
    assert "2 mask(s)" in learnt.passed_over
    masks = {image.path.name: image.mask for image in read_test_images(tmp_path) if image.is_defective}
    assert masks == {"0.png": tmp_path / "MASK/0.png", "1.png": tmp_path / "MASK/1.png", "2.png": None}


@pytest.mark.parametrize(
    ("train", "good", "defective"),
    [
        ("train/good", "test/good", "test/dent"),
        ("Train/Good", "Test/Good", "Test/Defective"),
        ("TRAIN/OK", "TEST/OK", "TEST/NG"),
        ("train/ok", "test/ok", "test/ko"),
        ("train/good", "test_public/good", "test_public/bad"),
        ("train/good", "test/good", "test/logical_anomalies"),
        ("train/ok_front", "test/ok_front", "test/def_front"),
        ("good/train", "good/test", "bad/test"),
        ("train_good", "test_good", "test_bad"),
        ("train/gut", "test/gut", "test/Kratzer"),
        ("train/good/cam0", "test/good/cam0", "test/dent/cam1"),
        ("sets/train/images/good", "sets/test/images/good", "sets/test/images/dent"),
        ("train/good", "val/good", "val/bad"),
        ("train/good", "good", "bad"),
    ],
)
def test_folders_for_training_and_testing_are_told_without_case(
    tmp_path: Path, train: str, good: str, defective: str
) -> None:
    lay_out(tmp_path, *several(train, 3), *several(good, 2), *several(defective, 2))
    assert names(tmp_path, read_good_images(tmp_path).paths) == set(several(train, 3))
    tested = read_test_images(tmp_path)
    assert names(tmp_path, [image.path for image in tested if image.kind == GOOD]) == set(several(good, 2))
    assert names(tmp_path, [image.path for image in tested if image.is_defective]) == set(several(defective, 2))


def test_good_images_for_validation_are_neither_learnt_nor_tested_with_beside_a_test(tmp_path: Path) -> None:
    lay_out(tmp_path, "train/good/0.png", "validation/good/1.png", "test/good/2.png", "test/bad/3.png")
    assert names(tmp_path, read_good_images(tmp_path).paths) == {"train/good/0.png"}
    assert names(tmp_path, [image.path for image in read_test_images(tmp_path)]) == {
        "test/good/2.png",
        "test/bad/3.png",
    }


def test_beside_good_a_kind_of_defect_may_have_such_a_word_in_its_name(tmp_path: Path) -> None:
    lay_out(tmp_path, "train/good/0.png", "test/good/0.png", "test/normal_crack/0.png")
    assert [image.kind for image in read_test_images(tmp_path)] == [GOOD, "normal_crack"]


@pytest.mark.parametrize("inner", ["bad", "NG", "masks", "Ausschuss"])
def test_what_is_named_as_defective_below_good_parts_is_not_learnt(tmp_path: Path, inner: str) -> None:
    lay_out(tmp_path, "train/good/0.png", f"train/good/{inner}/1.png", "train/bad/2.png")
    assert names(tmp_path, read_good_images(tmp_path).paths) == {"train/good/0.png"}


def test_masks_are_found_below_the_same_folders(tmp_path: Path) -> None:
    lay_out(tmp_path, "train/good/0.png", "test/good/cam0/0.png")
    for camera in ("cam0", "cam1"):
        lay_out(tmp_path, f"test/crack/{camera}/0.png", f"ground_truth/crack/{camera}/0_mask.png")
    lay_out(tmp_path, "test/dent/cam0/0.png", "test/crack/cam2/7.png")
    masks = {image.path: image.mask for image in read_test_images(tmp_path)}
    for camera in ("cam0", "cam1"):
        expected = tmp_path / f"ground_truth/crack/{camera}/0_mask.png"
        assert masks[tmp_path / f"test/crack/{camera}/0.png"] == expected
    assert masks[tmp_path / "test/dent/cam0/0.png"] is None  # those of another kind are not its
    assert masks[tmp_path / "test/crack/cam2/7.png"] is None


@pytest.mark.parametrize(
    "mask", ["Ground_Truth/ko/0.bmp", "GT/ko/0.png", "test/ko/0_mask.png", "masks/0.tif", "test/masks/ko/0_gt.png"]
)
def test_masks_are_found_under_other_names(tmp_path: Path, mask: str) -> None:
    lay_out(tmp_path, "train/ok/0.png", "test/ok/0.png", "test/ko/0.png", mask)
    tested = read_test_images(tmp_path)
    assert [(image.kind, image.mask) for image in tested] == [(GOOD, None), ("ko", tmp_path / mask)]


def test_several_masks_of_an_image_lie_in_a_folder_of_its_name(tmp_path: Path) -> None:
    truth = [
        f"ground_truth/logical_anomalies/{image}/{mask}.png" for image in ("000", "001") for mask in ("000", "001")
    ]
    tests = ["test/logical_anomalies/000.png", "test/logical_anomalies/001.png", "test/good/000.png"]
    lay_out(tmp_path, "train/good/000.png", *tests, *truth)
    found = {
        image.path.name: (image.mask, image.more_masks) for image in read_test_images(tmp_path) if image.is_defective
    }
    assert found["000.png"] == (tmp_path / truth[0], (tmp_path / truth[1],))
    assert found["001.png"] == (tmp_path / truth[2], (tmp_path / truth[3],))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param(["cam0/0.png", "cam1/0.png"], "--good 'cam0'", id="cameras"),
        pytest.param(["2024-01-03/0.png", "2024-01-04/0.png"], "--good '2024-01-03'", id="days"),
        pytest.param(["links/0.png", "rechts/0.png"], "links", id="any-language"),
        pytest.param(["0.png", "Kratzer/0.png"], "--good 'Kratzer'", id="loose-and-a-folder"),
        pytest.param(["0.png", "bad/0.png"], "'bad'", id="loose-and-bad"),
        pytest.param(["x/a/0.png", "x/b/0.png"], "--good 'x/a'", id="deeper"),
        pytest.param(["bad/0.png"], "by --good", id="bad-alone"),
        pytest.param(["NG/0.png", "cam1/0.png"], "--good 'cam1'", id="bad-and-unknown"),
        pytest.param(
            ["bottle/train/good/0.png", "cable/train/good/0.png"], "several products (bottle, cable)", id="above"
        ),
        pytest.param(["a/OK/0.png", "a/NG/0.png", "b/OK/0.png"], "several products (a, b)", id="above-flat"),
        pytest.param(["ok_0.png", "ng_0.png"], "--good 'ok_*'", id="names-of-files"),
        pytest.param(["train/0.png", "test/good/0.png"], "train: has no folder 'good'", id="train-without-folders"),
        pytest.param(["train/a/0.png", "train/b/0.png"], "train: has no folder 'good'", id="train-of-cameras"),
    ],
)
def test_what_no_name_explains_is_refused_with_the_choice(tmp_path: Path, files: list[str], said: str) -> None:
    lay_out(tmp_path / "product", *files)
    with pytest.raises(DatasetError) as raised:
        read_good_images(tmp_path / "product")
    assert said in str(raised.value)
    assert "--good" in str(raised.value)


@pytest.mark.parametrize("name", ["NG", "bad", "Defective", "不良品"])
def test_a_folder_that_is_itself_named_as_defective_is_refused(tmp_path: Path, name: str) -> None:
    lay_out(tmp_path / name, "0.png")
    with pytest.raises(DatasetError, match="its name says"):
        read_good_images(tmp_path / name)
    assert len(read_good_images(tmp_path / name, good=["*"]).paths) == 1


def test_below_a_folder_of_good_parts_folders_may_have_any_names(tmp_path: Path) -> None:
    lay_out(tmp_path / "good", "cam0/0.png", "cam1/0.png", "2.png")
    assert len(read_good_images(tmp_path / "good").paths) == 3


def test_a_chain_of_single_folders_is_one_folder(tmp_path: Path) -> None:
    lay_out(tmp_path, "a/b/0.png", "a/b/1.png")
    assert len(read_good_images(tmp_path).paths) == 2


def test_masks_beside_images_are_not_learnt(tmp_path: Path) -> None:
    lay_out(tmp_path, "train/good/0.png", "train/good/0_mask.png", "train/good/only_a_mask.png")
    found = read_good_images(tmp_path)
    assert names(tmp_path, found.paths) == {"train/good/0.png", "train/good/only_a_mask.png"}
    assert "1 mask(s) beside images" in found.passed_over


def test_linked_folders_count_where_their_names_say_what_they_are(tmp_path: Path) -> None:
    lay_out(tmp_path, *several("elsewhere/a", 2), *several("elsewhere/b", 2), "elsewhere/c/0.png")
    product = tmp_path / "product"
    (product / "test").mkdir(parents=True)
    (product / "train").mkdir()
    for link, target in (("train/good", "a"), ("test/good", "b"), ("test/dent", "c")):
        (product / link).symlink_to(tmp_path / "elsewhere" / target)
    assert len(read_good_images(product).paths) == 2
    assert [image.kind for image in read_test_images(product)] == ["dent", GOOD, GOOD]


def test_every_command_reads_by_the_same_layout(tmp_path: Path) -> None:
    lay_out(tmp_path, *several("OK", 5), *several("NG", 1))
    layout, recognition = find_layout(tmp_path)
    assert layout.name == "good and defective folders"
    assert recognition.reason == "has folders 'NG', 'OK'"


def test_depths_beside_pictures_are_not_learnt(tmp_path: Path) -> None:
    pictures = ("rgb/000.png", "rgb/001.png", "xyz/000.tiff", "xyz/001.tiff")
    for part in ("train/good", "test/good", "test/crack"):
        for file in pictures if part == "train/good" else (*pictures, "gt/000.png"):
            (tmp_path / part / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / part / file).touch()
    found = read_good_images(tmp_path)
    assert found.paths == [tmp_path / "train/good/rgb/000.png", tmp_path / "train/good/rgb/001.png"]
    assert "2 image(s) in 'train/good/xyz'" in found.passed_over
    for chosen in (read_good_images(tmp_path / "train/good"), read_good_images(tmp_path, good=["train/good"])):
        assert chosen.paths == found.paths
        assert "2 image(s) of depths, heat maps, thumbnails and the like" in chosen.passed_over
    assert len(read_good_images(tmp_path, good=["train/good/xyz"]).paths) == 2
    tested = read_test_images(tmp_path)
    assert [image.path.relative_to(tmp_path).as_posix() for image in tested] == [
        f"test/{kind}/rgb/00{number}.png" for kind in ("crack", "good") for number in (0, 1)
    ]
    assert tested[0].mask == tmp_path / "test/crack/gt/000.png"


def test_a_folder_of_depths_alone_is_a_product(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "train/good/depth").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"train/good/depth/{number}.tiff").touch()
    assert len(read_good_images(tmp_path).paths) == 3


@pytest.mark.parametrize(
    "made",
    ["good/heatmaps/{}.png", "good/maps/{}.png", "good/thumbs/{}.jpg", "good_overlay/{}.png", "good/{}_heatmap.png"],
)
@pytest.mark.parametrize("good", [None, ["good*"]])
def test_heat_maps_and_thumbnails_of_the_pictures_are_not_learnt(
    tmp_path: Path, made: str, good: list[str] | None
) -> None:
    lay_out(tmp_path, *several("good", 3), *(made.format(number) for number in range(3)))
    found = read_good_images(tmp_path, good=good)
    assert names(tmp_path, found.paths) == set(several("good", 3))
    assert good or "3 image(s)" in found.passed_over


def test_folders_by_such_names_with_pictures_of_their_own_are_images(tmp_path: Path) -> None:
    lay_out(tmp_path, *several("good", 3), *several("good/maps", 3, "city{}.png"), "good/a_thumb.png")
    assert len(read_good_images(tmp_path).paths) == 7
