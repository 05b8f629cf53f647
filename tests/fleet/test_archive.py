"""What is found to be scored, and how it is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from differnet.errors import DatasetError
from differnet.fleet.archive import ArchiveImage, FileArchive, ParquetArchive, open_archive, portions, read_row_groups
from differnet.images.layouts.table import read_table
from tests.fleet.conftest import write_plates


def parquet(file: Path, **columns: list[Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)
    return file


def test_images_of_a_folder_are_named_from_it_and_the_first_folder_is_the_product(tmp_path: Path) -> None:
    write_plates(tmp_path / "a" / "b" / "deep", 1, 0)
    write_plates(tmp_path / "a" / "c", 2, 0)
    (tmp_path / "a" / "notes.md").write_text("passed over")
    archive = open_archive(str(tmp_path / "a"), with_products=True)
    found = list(archive.images())
    assert [(image.path, image.product) for image in found] == [
        ("b/deep/000.png", "b"),
        ("c/000.png", "c"),
        ("c/001.png", "c"),
    ]
    assert archive.total == 3
    assert all(Path(image.location).is_file() and Path(image.location).is_absolute() for image in found)
    alone = open_archive(str(tmp_path / "a"), with_products=False)
    assert [image.product for image in alone.images()] == [None] * 3


def test_an_image_in_no_products_folder_is_an_error(tmp_path: Path) -> None:
    write_plates(tmp_path / "a", 1, 0)
    with pytest.raises(DatasetError, match=r"000\.png: lies in no product's folder"):
        open_archive(str(tmp_path / "a"), with_products=True)
    for entry in (tmp_path / "a" / "000.png", "../a/000.png"):
        (tmp_path / "lists").mkdir(exist_ok=True)
        (tmp_path / "lists" / "list.txt").write_text(f"{entry}\n")
        with pytest.raises(DatasetError, match="lies in no product's folder"):
            open_archive(str(tmp_path / "lists" / "list.txt"), with_products=True)


def test_names_do_not_depend_on_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_plates(tmp_path / "a" / "b", 2, 0)
    (tmp_path / "a" / "list.txt").write_text(f"b/000.png\n{tmp_path}/a/b/001.png\n../other.png\n")
    expected = ["b/000.png", "b/001.png", "../other.png"]
    list_file = tmp_path / "a" / "list.txt"
    for folder, source in ((tmp_path, "a/list.txt"), (list_file.parent, "list.txt"), (Path("/"), list_file)):
        monkeypatch.chdir(folder)
        images = list(open_archive(str(source), with_products=False).images())
        assert [image.path for image in images] == expected
        assert [os.path.realpath(image.location) for image in images] == [
            os.path.realpath(tmp_path / "a" / name) for name in expected
        ]


def test_links_are_read_where_they_lie(tmp_path: Path) -> None:
    [file] = write_plates(tmp_path / "store", 1, 0)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "link.png").symlink_to(file)
    [image] = open_archive(str(tmp_path / "a"), with_products=True).images()
    assert (image.path, image.product) == ("b/link.png", "b")


def test_parquet_gives_paths_from_its_folder_or_bytes(tmp_path: Path) -> None:
    file = parquet(
        tmp_path / "images.parquet",
        path=["x/1.png", "/data/2.png", "s3://bucket/3.png"],
        product=["bolt", "nut", None],
        other=[1, 2, 3],
    )
    archive = open_archive(str(file), with_products=True)
    assert isinstance(archive, ParquetArchive)
    assert archive.total == 3
    assert list(archive.images()) == [
        ArchiveImage("x/1.png", "bolt", f"{tmp_path}/x/1.png"),
        ArchiveImage("/data/2.png", "nut", "/data/2.png"),
        ArchiveImage("s3://bucket/3.png", None, "s3://bucket/3.png"),
    ]
    with_bytes = parquet(tmp_path / "bytes.parquet", path=["1", "2"], bytes=[b"one", None])
    images = list(open_archive(str(with_bytes), with_products=False).images())
    assert [image.content for image in images] == [b"one", None]


def test_a_folder_of_parquet_is_one_archive_but_images_go_first(tmp_path: Path) -> None:
    for i in range(3):
        parquet(tmp_path / "a" / str(i) / "rows.parquet", path=[f"{i}.png"])
    archive = open_archive(str(tmp_path / "a"), with_products=False)
    assert sorted(image.path for image in archive.images()) == ["0.png", "1.png", "2.png"]
    # Results that are written below the images do not change what the archive is.
    write_plates(tmp_path / "a" / "images", 2, 0)
    assert isinstance(open_archive(str(tmp_path / "a"), with_products=False), FileArchive)


def test_large_images_in_parquet_are_read_in_small_portions(tmp_path: Path) -> None:
    large = parquet(tmp_path / "large.parquet", path=[str(i) for i in range(64)], bytes=[bytes(1_000_000)] * 64)
    small = parquet(tmp_path / "small.parquet", path=[str(i) for i in range(64)], bytes=[bytes(100)] * 64)
    rows = [ParquetArchive(str(file), with_products=False).rows for file in (large, small)]
    assert rows[0] in range(8, 17)
    assert rows[1] == 256


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"name": ["1.png"]}, "has no column 'path' but name"),
        ({"path": ["1.png"]}, "has no column 'product'"),
        ({"path": [], "product": []}, "has no rows"),
    ],
)
def test_wrong_parquet_is_told(tmp_path: Path, columns: dict[str, list[Any]], message: str) -> None:
    file = parquet(tmp_path / "a.parquet", **columns)
    with pytest.raises(DatasetError, match=message):
        open_archive(str(file), with_products=True)


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_text("no table")
    (tmp_path / "empty").mkdir()
    for source, message in (
        (tmp_path / "broken.parquet", "cannot be read as Parquet"),
        (tmp_path / "absent.parquet", "cannot be read as Parquet"),
        (tmp_path / "empty", "no images found"),
        (tmp_path / "absent", "no such file or folder"),
        ("nosuch://bucket/folder", "no such file system"),
        (f"file://{tmp_path}/empty", "no images found"),
    ):
        with pytest.raises(DatasetError, match=message):
            open_archive(str(source), with_products=False)


def test_a_column_whose_name_is_no_text_is_told(tmp_path: Path) -> None:
    whole = parquet(tmp_path / "whole.parquet", path=["a.png"], note=["new"])
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(whole.read_bytes().replace(b"note", b"no\xe5e"))
    with pytest.raises(DatasetError, match="cannot be read as Parquet"):
        open_archive(str(damaged), with_products=False)
    with pytest.raises(DatasetError, match="cannot be read as Parquet"):
        read_table(damaged)


def test_damaged_pages_of_parquet_are_told(tmp_path: Path) -> None:
    whole = parquet(tmp_path / "whole.parquet", path=[f"{i}.png" for i in range(50)], bytes=[b"content"] * 50)
    told, random = 0, np.random.default_rng(0)
    for _ in range(100):
        content = bytearray(whole.read_bytes())
        content[random.integers(4, len(content) - 8)] ^= 1 << random.integers(8)
        (tmp_path / "damaged.parquet").write_bytes(content)
        try:
            list(open_archive(str(tmp_path / "damaged.parquet"), with_products=False).images())
        except DatasetError as error:
            told += "Parquet" in str(error)
    assert told > 10


def test_a_remote_folder_and_remote_parquet_are_read_by_fsspec(tmp_path: Path) -> None:
    [file] = write_plates(tmp_path / "a" / "bolt", 1, 0)
    [image] = open_archive(f"file://{tmp_path}/a", with_products=True).images()
    assert (image.path, image.product, image.location) == ("bolt/000.png", "bolt", f"file://{file}")
    rows = parquet(tmp_path / "b" / "rows.parquet", path=["bolt/000.png"], product=["bolt"])
    for source in (f"file://{rows}", f"file://{rows.parent}"):
        [image] = open_archive(source, with_products=True).images()
        assert image.location == f"file://{tmp_path}/b/bolt/000.png"


def test_row_groups_are_read_one_by_one(tmp_path: Path) -> None:
    for i in range(2):
        (tmp_path / "a").mkdir(exist_ok=True)
        table = pa.table({"path": [f"{i}-{j}" for j in range(7)], "bytes": [b"image"] * 7, "other": [0] * 7})
        pq.write_table(table, tmp_path / "a" / f"{i}.parquet", row_group_size=3)
    for source in (str(tmp_path / "a"), f"file://{tmp_path}/a"):
        archive = ParquetArchive(source, with_products=False)
        groups = list(archive.row_groups())
        assert len(groups) == 6
        pieces = pa.table({"file": [file for file, _ in groups], "group": [group for _, group in groups]})
        tables = list(read_row_groups(pieces, archive.filesystem, archive.columns, 2))
        assert [table.num_rows for table in tables] == [2, 1, 2, 1, 1] * 2
        assert tables[0].column_names == ["path", "bytes"]
        paths = [path for table in tables for path in table.column("path").to_pylist()]
        assert paths == [image.path for image in archive.images()]


def test_portions_lose_nothing() -> None:
    images = [ArchiveImage(str(i), None, str(i)) for i in range(10)]
    assert [len(portion) for portion in portions(iter(images), 4)] == [4, 4, 2]
    assert [image for portion in portions(iter(images), 4) for image in portion] == images
