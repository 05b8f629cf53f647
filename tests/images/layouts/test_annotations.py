"""What lies beside images and says that some show defects: annotations of other programs, tables, names of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from differnet.errors import DatasetError
from differnet.images import read_good_images
from tests.images.layouts.test_labelled_folders import lay_out, several

ANNOTATIONS = {
    "yolo": ("{}.txt", "0 0.5 0.5 0.125 0.25\n2 0.1 0.2 0.3 1e-2\n"),
    "yolo-folder": ("labels/{}.txt", "0 0.5 0.5 0.125 0.25 0.5 0.5\r\n"),
    "voc": (
        "Annotations/{}.xml",
        "<annotation>\n<filename>a</filename>\n<object><name>dent</name></object></annotation>",
    ),
    "labelme": ("{}.json", '{"version": "5.2.1",\n "shapes": [\n {"label": "dent"}]}'),
    "coco": ("_annotations.coco.json", '{"images": [{"id": 1}], "annotations": [{"image_id": 1}]}'),
    "label-studio": ("export.json", '[{"id": 1, "annotations": [{"result": []}]}]'),
    "cvat": ("annotations.xml", '<annotations><image name="3.png">\n<polygon label="dent"/></image></annotations>'),
}


@pytest.mark.parametrize("kind", ANNOTATIONS)
def test_images_on_which_annotations_mark_something_are_not_learnt_unasked(tmp_path: Path, kind: str) -> None:
    name, content = ANNOTATIONS[kind]
    lay_out(tmp_path, *several("parts", 25))
    (tmp_path / name.format(3)).parent.mkdir(exist_ok=True)
    (tmp_path / name.format(3)).write_text(content)
    with pytest.raises(DatasetError, match="mark") as raised:
        read_good_images(tmp_path)
    assert name.format(3) in str(raised.value)
    assert len(read_good_images(tmp_path, good=["*"]).paths) == 25


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("3.txt", ""),
        ("3.txt", "0.5 0.5 exposure of line 2\n"),
        ("3.json", '{"exposure_us": 900, "shapes": []}'),
        ("3.xml", "<camera><gain>3</gain></camera>"),
        ("3.xml", "<annotation><filename>a</filename></annotation>"),
        ("classes.txt", "dent\n"),
        ("coco.json", '{"images": [{"id": 1}], "annotations": []}'),
        ("times.csv", "path,seconds\n3.png,7\n"),
        ("labels.csv", "path,label\n3.png,ok\n"),
        ("exposures.csv", "3.png,7\n4.png,0\n"),
        ("gains.csv", "3.png 1.0 mono\n4.png 1.0 mono\n"),
        ("other.csv", "path,label\nelsewhere.png,ng\n4.png,ok\n"),
    ],
)
def test_what_a_camera_writes_beside_images_is_no_annotation(tmp_path: Path, name: str, content: str) -> None:
    lay_out(tmp_path, *(f"{number}.png" for number in range(25)))
    (tmp_path / name).write_text(content)
    assert len(read_good_images(tmp_path).paths) == 25


def test_a_table_beside_images_that_calls_some_defective_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, *several("parts", 25))
    (tmp_path / "labels.csv").write_text("file,class\nparts/0.png,ok\nparts/3.png,scratch\nparts/4.png,ng\n")
    with pytest.raises(DatasetError, match=r"'labels.csv' calls 2 of 25 image\(s\) defective"):
        read_good_images(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "parts/0.png  0.0  mono\nparts/3.png  0.3333333333333333  mono\nparts/4.png  1.0  poly\n",
        "parts/0.png,0\r\nparts/3.png,1\r\n",
        "0.png;OK\n3.png;NG\n",
        '"parts\\0.png"\t"good"\n"parts\\3.png"\t"defect"\n',
    ],
)
def test_a_table_without_names_of_columns_that_calls_some_defective_is_named(tmp_path: Path, content: str) -> None:
    lay_out(tmp_path, *several("parts", 25))
    (tmp_path / "labels.csv").write_text(content, encoding="utf-8-sig", newline="")
    with pytest.raises(DatasetError, match=r"'labels.csv' has no line with names of columns") as raised:
        read_good_images(tmp_path)
    assert "--good '*' takes all" in str(raised.value)
    with pytest.raises(DatasetError, match="first line is no line of columns' names"):
        read_good_images(tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("files", "choice"),
    [
        pytest.param(["img_0.png", "img_1.png", "defect_0.png"], "--good 'img_*'", id="some-defective"),
        pytest.param(["good_0.png", "scratch_0.png"], "--good 'good_*'", id="some-good"),
        pytest.param(["0_OK.png", "1_NG.png"], "--good '*_OK.png'", id="at-the-end"),
        pytest.param(["0.png", "1_NG.png"], "--good 'PATTERN'", id="no-pattern-tells"),
        pytest.param(["00041000_temp.jpg", "00041000_test.jpg", "7_temp.jpg"], "--good '*_temp.jpg'", id="pairs"),
        pytest.param(["train_0.png", "test_0.png"], "--good 'train_*'", id="to-test-with"),
        pytest.param(
            ["crazing_1.jpg", "rolled-in_scale_2.jpg", "pitted_surface_3.jpg"], "--good 'PATTERN'", id="kinds"
        ),
        pytest.param(["no_scratch_1.png", "scratch_1.png"], "--good 'no_scratch_*'", id="a-kind-denied"),
        pytest.param(["scratches_1.jpg", "inclusion_2.jpg"], "--good '*' for all", id="kinds-alone"),
        pytest.param(["part_1.png", "Kratzer_2.png"], "--good 'part_*'", id="a-kind-beside-others"),
        pytest.param(["20240105.png", "20240106_Riss.png"], "--good 'PATTERN'", id="a-kind-after-dates"),
        pytest.param(["ng_0.png", "ng_1.png"], "--good '*' for all", id="all-defective"),
    ],
)
def test_names_of_files_that_call_some_images_defective_or_not_good_are_refused(
    tmp_path: Path, files: list[str], choice: str
) -> None:
    lay_out(tmp_path, *files)
    with pytest.raises(DatasetError) as raised:
        read_good_images(tmp_path)
    assert choice in str(raised.value)


@pytest.mark.parametrize(
    "files",
    [
        ["part_0001.png", "part_0002.png"],
        ["IMG_1234.JPG", "DSC00012.JPG", "DSC00013.JPG"],
        ["camera1_0001.png", "camera2_0001.png"],
        ["2024-01-05_13-00.png", "2024-01-05T14.png", "20240105-1.png"],
        ["left_1.png", "right_1.png"],
        ["1_left.png", "1_right.png", "1_top.png"],
        ["test_1.png", "test_2.png"],
        ["no_scratch_1.png", "without_scratch_2.png"],
        ["no_1.png", "part_2.png"],
        ["pruefung_1.png", "test_2.png"],
        ["hole_plate_1.png", "hole_lid_1.png"],
        ["spot_weld_1.png", "seam_2.png"],
        ["patch_1.png", "tile_1.png"],
        ["crack_detector_1.png", "crack_detector_lid_2.png"],
        ["Bild 1.png", "Bild 2 (Kopie).png"],
        ["a temp.png", "b temp.png"],
        ["red_1.png", "blue_1.png", "green_1.png"],
    ],
)
def test_ordinary_names_of_files_are_learnt_as_ever(tmp_path: Path, files: list[str]) -> None:
    lay_out(tmp_path / "teile", *files)
    assert len(read_good_images(tmp_path / "teile").paths) == len(files)


def test_in_a_folder_of_good_parts_names_need_not_say_it_again(tmp_path: Path) -> None:
    lay_out(tmp_path / "good", "ok_0.png", "later.png")
    assert len(read_good_images(tmp_path / "good").paths) == 2


def test_of_folders_without_a_word_the_largest_is_suggested(tmp_path: Path) -> None:
    lay_out(tmp_path, *several("kratzer", 2), *several("serie", 20))
    with pytest.raises(DatasetError, match="--good 'serie'"):
        read_good_images(tmp_path)
