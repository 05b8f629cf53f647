"""Tables in Parquet, and in CSV where pyarrow is absent."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from differnet.errors import OutputError
from differnet.sinks.tables import arrow_table, read_columns, write_table

COLUMNS = {"path": str, "score": float, "views": int}
ODD = os.fsdecode(b'caf\xe9, "one"\n.png')  # not UTF-8, and with all that CSV must quote
ROWS: list[dict[str, Any]] = [
    {"path": "a.png", "score": 0.1, "views": 1, "other": "left out"},
    {"path": ODD, "score": None},
]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_rows_come_back(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / "new" / f"table{suffix}"
    write_table(file, COLUMNS, ROWS)
    found = list(read_columns(file, ["path", "score"]))
    assert [path for path, _ in found] == ["a.png", ODD.encode("utf-8", "backslashreplace").decode()]
    assert (float(found[0][1]), found[1][1]) == (0.1, None)
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_parquet_has_the_types_of_the_columns_even_where_all_is_absent(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", COLUMNS, [{"path": "a.png"}])
    assert pq.read_schema(tmp_path / "t.parquet").types == [pa.string(), pa.float64(), pa.int64()]
    assert arrow_table(COLUMNS, []).num_rows == 0


def test_csv_has_a_header_and_empty_cells(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", COLUMNS, ROWS)
    rows = list(csv.DictReader((tmp_path / "t.csv").open(newline="")))
    assert rows[0] == {"path": "a.png", "score": "0.1", "views": "1"}
    assert (rows[1]["score"], rows[1]["views"]) == ("", "")


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_what_cannot_be_written_or_read_is_told(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=f"t{suffix}: cannot be written"):
        write_table(tmp_path / "file" / f"t{suffix}", COLUMNS, ROWS)
    (tmp_path / f"foreign{suffix}").write_text("x,y\n1,2\n")
    with pytest.raises(OutputError, match=f"foreign{suffix}: is not a table of results"):
        read_columns(tmp_path / f"foreign{suffix}", ["path"])


def test_a_table_that_fails_halfway_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    write_table(file, COLUMNS, ROWS[:1])
    before = file.read_bytes()

    class Broken(dict[str, Any]):
        def get(self, *_: object) -> object:
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        write_table(file, COLUMNS, [ROWS[0], Broken(path="b")])
    assert file.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.csv"]
