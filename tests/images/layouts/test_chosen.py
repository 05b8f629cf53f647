"""Images that the user names: --good, --defective and --masks."""

from __future__ import annotations

from pathlib import Path

import pytest

from differnet.errors import DatasetError
from differnet.images import GOOD, read_good_images, read_test_images
from differnet.images.layouts.survey import survey

FILES = (
    "cam0/ok/0.png",
    "cam0/ng/1.png",
    "cam1/ok/2.png",
    "cam1/x.png",
    "cam1/notes.txt",
    "unten/3.png",
    "truth/1_mask.png",
    "ok_4.png",
    "ng_5.png",
)


@pytest.fixture
def product(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / "product" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "product" / name).touch()
    return tmp_path / "product"


@pytest.mark.parametrize(
    ("good", "learnt"),
    [
        (["unten"], {"unten/3.png"}),
        (["cam1", "unten"], {"cam1/ok/2.png", "cam1/x.png", "unten/3.png"}),
        (["cam*/ok"], {"cam0/ok/0.png", "cam1/ok/2.png"}),
        (["*/ok"], {"cam0/ok/0.png", "cam1/ok/2.png"}),
        (["ok_*.png"], {"ok_4.png"}),
        (["ok_*", "**/x.png"], {"ok_4.png", "cam1/x.png"}),
        (["cam0"], {"cam0/ok/0.png"}),
        (["cam0/ng"], {"cam0/ng/1.png"}),
        (["cam0/*"], {"cam0/ok/0.png"}),
    ],
)
def test_folders_files_and_patterns_are_taken(product: Path, good: list[str], learnt: set[str]) -> None:
    found = read_good_images(product, good=good).paths
    assert {path.relative_to(product).as_posix() for path in found} == learnt


def test_a_place_elsewhere_may_be_named(product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "9.png").touch()
    monkeypatch.chdir(tmp_path)
    for good in ("more", tmp_path / "more", str(tmp_path / "mo*")):
        assert [path.name for path in read_good_images(product, good=[good]).paths] == ["9.png"]


def test_what_is_left_out_of_a_named_folder_is_said(product: Path) -> None:
    assert (
        "1 image(s) of deeper folders that are named as defective"
        in read_good_images(product, good=["cam0"]).passed_over
    )


@pytest.mark.parametrize(
    ("good", "said"), [("gone", "cam0, cam1, truth, unten"), ("", "is empty"), ("truth", "no images of good")]
)
def test_a_choice_that_holds_nothing_is_an_error(product: Path, good: str, said: str) -> None:
    if good == "truth":
        (product / "truth" / "1_mask.png").unlink()
        said = "no images found"
    with pytest.raises(DatasetError, match=said):
        read_good_images(product, good=[good])


def test_tests_are_named_as_the_arguments_of_anomalib_are(product: Path) -> None:
    tested = read_test_images(product, good=["cam*/ok"], defective=["cam0/ng", "ng_5.png"], masks=["truth"])
    assert [(image.kind, image.path.name) for image in tested] == [
        (GOOD, "0.png"),
        (GOOD, "2.png"),
        ("ng", "1.png"),
        ("product", "ng_5.png"),
    ]
    assert tested[2].mask == product / "truth" / "1_mask.png"


@pytest.mark.parametrize(
    ("good", "defective", "said"),
    [
        (["cam0/ng"], ["cam0/ng"], "as good and as defective"),
    ],
)
def test_each_image_is_named_once(product: Path, good: list[str], defective: list[str], said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        read_test_images(product, good=good, defective=defective)


def test_a_survey_tells_what_would_be_learnt_and_tested(product: Path) -> None:
    refused = survey(product)
    assert refused.learnt.paths == []
    assert "--good" in refused.refusal
    assert refused.to_dict()["refused"] == refused.refusal
    chosen = survey(product, good=["unten", "cam*/ok"], defective=["cam0/ng"], masks=["truth"]).to_dict()
    assert chosen["learnt"]["images"] == 3
    assert chosen["refused"] is None
    assert [(each["kind"], each["images"], each["masks"]) for each in chosen["tested"]] == [(GOOD, 3, 0), ("ng", 1, 1)]
    assert chosen["tested"][1]["samples"] == [str(product / "cam0/ng/1.png")]


def test_good_or_defective_ones_alone_are_tested_with_too(product: Path) -> None:
    good = read_test_images(product, good=["cam0/ok"])
    defective = read_test_images(product, defective=["cam0/ng"])
    assert {image.is_defective for image in good} == {False}
    assert {image.is_defective for image in defective} == {True}
    with pytest.raises(DatasetError, match="--good or --defective"):
        read_test_images(product, masks=["cam0"])
