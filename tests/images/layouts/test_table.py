"""Products told by a table: names of columns and labels, splits, masks, paths, and VisA's own table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

from differnet.errors import DatasetError
from differnet.images import GOOD, read_good_images, read_test_images

ROWS = [
    ("parts/0.png", "good", "train", ""),
    ("parts/1.png", "good", "train", ""),
    ("parts/2.png", "good", "test", ""),
    ("parts/3.png", "crack", "test", "masks/3.png"),
    ("parts/4.png", "dent", "train", ""),
]
COLUMNS = ("path", "label", "split", "mask")


def write(
    file: Path, rows: Sequence[tuple[str, ...]], columns: tuple[str, ...] = COLUMNS, delimiter: str = ","
) -> Path:
    for row in rows:
        (file.parent / row[0]).parent.mkdir(parents=True, exist_ok=True)
        (file.parent / row[0]).touch()
    with file.open("w", newline="", encoding="utf-8-sig") as stream:
        csv.writer(stream, delimiter=delimiter).writerows([columns, *rows])
    return file


def names(root: Path, paths: list[Path]) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    "columns",
    [
        COLUMNS,
        ("Image_Path", "LABEL", "Split", "Mask_Path"),
        ("filename", "class", "subset", "gt"),
        ("image", "defect type", "set", "mask"),
    ],
)
def test_columns_have_usual_names_and_any_delimiter(tmp_path: Path, columns: tuple[str, ...], delimiter: str) -> None:
    table = write(tmp_path / "parts.csv", ROWS, columns, delimiter)
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "3.png").touch()
    found = read_good_images(table)
    assert names(tmp_path, found.paths) == ["parts/0.png", "parts/1.png"]
    assert "1 image(s) that the table does not call good" in found.passed_over
    tested = read_test_images(table)
    assert [(image.kind, image.path.name, image.mask) for image in tested] == [
        ("crack", "3.png", tmp_path / "masks" / "3.png"),
        (GOOD, "2.png", None),
    ]


@pytest.mark.parametrize(
    ("good", "defective", "kind"),
    [
        ("OK", "NG", "NG"),
        ("0", "1", "defective"),
        ("False", "True", "defective"),
        ("i.O.", "n.i.O.", "n.i.O."),
        ("good", "Kratzer", "Kratzer"),
    ],
)
def test_without_a_split_a_fifth_of_the_good_ones_is_kept(tmp_path: Path, good: str, defective: str, kind: str) -> None:
    rows = [(f"{number}.png", good) for number in range(30)] + [("bad.png", defective)]
    table = write(tmp_path / "t.csv", rows, ("path", "label"))
    learnt, tested = read_good_images(table), read_test_images(table)
    assert (len(learnt.paths), len(tested)) == (24, 7)
    assert tested[0].kind == kind or tested[-1].kind == kind
    assert not {image.path for image in tested} & set(learnt.paths)


def test_without_labels_all_are_good(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", [("0.png",), ("1.png",)], ("path",))
    assert len(read_good_images(table).paths) == 2


def test_a_parquet_file_is_a_table_too(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    write(tmp_path / "parts.csv", ROWS)
    columns = {name: [row[place] or None for row in ROWS] for place, name in enumerate(COLUMNS)}
    parquet.write_table(arrow.table(columns), tmp_path / "parts.parquet")
    from_csv, from_parquet = tmp_path / "parts.csv", tmp_path / "parts.parquet"
    assert read_good_images(from_parquet) == read_good_images(from_csv)
    assert read_test_images(from_parquet) == read_test_images(from_csv)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rows"),
        ("path,label\n", "no rows"),
        ("name,label\na.png,good\n", "no column 'path' but name, label"),
        ("path,label\na.png,a\nb.png,b\n", "no label says good"),
        ("path,split\na.png,somewhere\n", "'somewhere' is no split"),
        ("path,label\na.png,bad\n", "no row is labelled good"),
        ("path,label,split\na.png,good,test\n", "no row of the split 'train' is labelled good"),
        ("object,path,label\na,a.png,good\nb,b.png,good\n", "rows of several products (a, b)"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DatasetError) as raised:
        read_good_images(tmp_path / "t.csv")
    assert said in str(raised.value)


def test_a_table_in_another_encoding_says_how_to_save_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("path\nprüfling.png\n".encode("cp1252"))
    with pytest.raises(DatasetError, match="CSV UTF-8"):
        read_good_images(tmp_path / "t.csv")


def test_a_table_without_defective_or_good_tests_says_which(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", [("0.png", "good", "train"), ("1.png", "good", "test")], COLUMNS[:3])
    with pytest.raises(DatasetError, match="defective ones"):
        read_test_images(table)


def test_of_visa_the_folders_divide_where_its_table_is_missing(tmp_path: Path) -> None:
    images = tmp_path / "candle" / "Data" / "Images"
    for kind, count in (("Normal", 25), ("Anomaly", 2)):
        (images / kind).mkdir(parents=True)
        for number in range(count):
            (images / kind / f"{number}.JPG").touch()
    mask = tmp_path / "candle" / "Data" / "Masks" / "Anomaly" / "1.png"
    mask.parent.mkdir(parents=True)
    mask.touch()
    assert len(read_good_images(tmp_path / "candle").paths) == 20
    tested = read_test_images(tmp_path / "candle")
    assert [(image.kind, image.mask) for image in tested][:2] == [("Anomaly", None), ("Anomaly", mask)]


@pytest.mark.parametrize(
    ("column", "cell"), [("quality", "NG"), ("decision", "reject"), ("is_good", "1"), ("Ergebnis", "n.i.O.")]
)
def test_a_column_of_another_name_that_says_which_parts_are_defective_is_not_passed_over(
    tmp_path: Path, column: str, cell: str
) -> None:
    (tmp_path / "parts.csv").write_text(f"path,{column},seconds\na.png,,3\nb.png,{cell},4\n")
    with pytest.raises(DatasetError, match=f"column '{column}' s.*call it label"):
        read_good_images(tmp_path / "parts.csv")


def test_columns_may_have_spaces_between(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.png").touch()
    table = tmp_path / "labels.csv"
    table.write_text("path  probability label\n0.png  0.0 ok\n1.png  0.0 ok\n2.png  0.3 ng\n3.png  1.0   ng\n")
    assert [image.kind for image in read_test_images(table)] == ["good", "ng", "ng"]


def test_a_name_with_spaces_in_a_table_of_one_column_is_one(tmp_path: Path) -> None:
    (tmp_path / "a b.png").touch()
    table = tmp_path / "t.csv"
    table.write_text("image path\na b.png\n")
    assert read_good_images(table).paths == [tmp_path / "a b.png"]


@pytest.mark.parametrize(
    ("again", "said"),
    [
        (("parts/0.png", "crack", "train", ""), "is labelled 'good' in one row and 'crack' in another"),
        (("./parts/0.png", "good", "test", ""), "is for 'train' in one row and 'test' in another"),
    ],
)
def test_rows_that_contradict_one_another_are_refused(tmp_path: Path, again: tuple[str, ...], said: str) -> None:
    table = write(tmp_path / "parts.csv", [*ROWS, again])
    for read in (read_good_images, read_test_images):
        with pytest.raises(DatasetError, match=said):
            read(table)
    same = write(tmp_path / "same.csv", [*ROWS, ROWS[0], ROWS[3]])
    assert (len(read_good_images(same).paths), len(read_test_images(same))) == (2, 2)


def test_kinds_of_defects_are_one_whatever_their_case(tmp_path: Path) -> None:
    rows = [(f"{number}.png", "Good" if number else "GOOD") for number in range(20)]
    table = write(tmp_path / "t.csv", [*rows, ("a.png", "Scratch"), ("b.png", "SCRATCH")], ("path", "label"))
    assert {image.kind for image in read_test_images(table)} == {GOOD, "Scratch"}
