"""What names of folders say, in any case and several languages."""

from __future__ import annotations

import pytest

from differnet.images.layouts.names import Label, Split, is_mask_of, read_role

GOOD = (
    "good Good GOOD ok OK okay iO i.O. IO io normal Normal pass PASS passed gut Gutteile bueno bon bons buono 良品 "
    "正常 合格 양품 годные good_parts parts-good OK_2024 ok_front ok01 0_good GoodImages defect-free no_defect "
    "NoDefects fehlerfrei ohne_Fehler good+old non-defective bom dobre"
)
DEFECTIVE = (
    "bad Bad NG ng nok NOK ko KO nio NIO n.i.O. n.i.o n_i_O defect Defects defective reject REJECTS scrap abnormal "
    "anomaly Anomalies anomalous fail FAIL failed schlecht Ausschuss fehlerhaft malo mauvais défaut Défauts défectueux "
    "不良 不良品 不合格 異常 异常 缺陷 불량 брак def_front logical_anomalies NG_cam2 1_bad not_good NotOk nicht-ok "
    "no_good non-conforming non_ok defekt scarto defeito"
)
NOTHING = "cam0 2024-01-03 crack scratch bottle pass_fail good_bad part batch_7 Kratzer station3 golden ngc okapi"
MASKS = "mask MASK Masks ground_truth GroundTruth ground-truth GT gt labels defect_masks Masken マスク 掩码"


def words(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize("name", words(GOOD))
def test_names_of_good_parts(name: str) -> None:
    assert read_role(name).label is Label.GOOD
    assert read_role(name).split is None


@pytest.mark.parametrize("name", words(DEFECTIVE))
def test_names_of_defective_parts(name: str) -> None:
    assert read_role(name).label is Label.DEFECTIVE


@pytest.mark.parametrize("name", words(NOTHING))
def test_other_names_say_nothing(name: str) -> None:
    assert not read_role(name).says_something


@pytest.mark.parametrize("name", words(MASKS))
def test_names_of_masks(name: str) -> None:
    assert read_role(name).is_mask


@pytest.mark.parametrize(
    ("name", "split", "label"),
    [
        ("train", Split.TRAIN, None),
        ("Train", Split.TRAIN, None),
        ("TRAINING", Split.TRAIN, None),
        ("train_images", Split.TRAIN, None),
        ("Test", Split.TEST, None),
        ("test_public", Split.TEST, None),
        ("validation", Split.VALIDATION, None),
        ("train_good", Split.TRAIN, Label.GOOD),
        ("good-train", Split.TRAIN, Label.GOOD),
        ("TestBad", Split.TEST, Label.DEFECTIVE),
        ("训练", Split.TRAIN, None),
        ("test_bench_1", None, None),
        ("trainer", None, None),
    ],
)
def test_names_of_splits(name: str, split: Split | None, label: Label | None) -> None:
    assert (read_role(name).split, read_role(name).label) == (split, label)


@pytest.mark.parametrize(
    ("stem", "image"),
    [
        ("000_mask", "000"),
        ("10000_GT", "10000"),
        ("Part1_label", "Part1"),
        ("a b-Mask", "a b"),
        ("x_ground_truth", "x"),
        ("000", None),
        ("mask", None),
        ("unmask", None),
    ],
)
def test_names_of_masks_beside_images(stem: str, image: str | None) -> None:
    assert is_mask_of(stem) == image
