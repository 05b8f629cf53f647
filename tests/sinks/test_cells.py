"""Cells of CSV are nothing but data, whatever a file is called, and lead back to it; a terminal obeys none of it."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from differnet.inspection.verdict import give_verdict
from differnet.sinks import open_sink, path_of
from differnet.sinks.cells import csv_line, printable
from differnet.sinks.tables import read_columns

FORMULAS = ["=cmd|calc.png", "+1.png", "@x.png", "-y.png", "\tz.png", "\rz.png", "=1+1", "＝1.png"]  # noqa: RUF001
ODD = [
    "car\rret.png",
    "two\nlines.png",
    "esc\x1b[31m.png",
    "bell\x07.png",
    'a,"b".png',
    "caf\udce9.png",
    "prüf 検査.png",
]


def read(line: bytes) -> list[str]:
    [row] = csv.reader(io.StringIO(line.decode(), newline=""))
    return row


@pytest.mark.parametrize("name", [*FORMULAS, *ODD])
def test_a_path_is_no_formula_one_record_and_leads_back_to_the_file(name: str) -> None:
    [cell, score] = read(csv_line(("path", "score"), (name, -0.5)))
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert path_of(cell) == name
    assert os.path.normpath(cell) == os.path.normpath(name).replace("\udce9", "\\udce9")
    assert float(score) == -0.5  # a number is none


@pytest.mark.parametrize("name", FORMULAS)
def test_other_text_gets_an_apostrophe(name: str) -> None:
    assert read(csv_line(("kind", "error"), (name, None))) == [f"'{name}", ""]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(allow_nan=False), st.none() | st.integers())
def test_any_row_is_read_as_it_was_written(path: str, score: float, views: int | None) -> None:
    row = read(csv_line(("path", "score", "views"), (path, score, views)))
    assert [path_of(row[0]), float(row[1]), row[2]] == [path, score, "" if views is None else str(views)]


def test_ordinary_rows_are_written_as_ever() -> None:
    assert csv_line(("path", "score", "margin"), ("a b/c-1.png", 1.5, -2e-05)) == b"a b/c-1.png,1.5,-2e-05\n"
    assert csv_line(("path", "score"), ("path", "score")) == b"path,score\n"


def test_a_file_of_results_names_the_files_that_were_given(tmp_path: Path) -> None:
    about = {"width": 9, "height": 9, "model_id": "0123456789ab", "milliseconds": 1.0}
    names = [*FORMULAS, *ODD, "./=x.png"]
    with open_sink(tmp_path / "r.csv") as sink:
        for name in names:
            sink.write(give_verdict(1.0, None, source=name, **about))
    with (tmp_path / "r.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [path_of(row["path"]) for row in rows] == [*FORMULAS, *ODD, "=x.png"]  # the same file as ./=x.png
    assert [path for (path,) in read_columns(tmp_path / "r.csv", ["path"])][: len(FORMULAS)] == FORMULAS


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("prüf 検査.png", "prüf 検査.png"),
        ("esc\x1b[31m", "esc\\x1b[31m"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("gnp.\u202eexe", "gnp.\\u202eexe"),
        ("caf\udce9", "caf\\udce9"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown
