"""Outputs are brought in line with the journal, or left alone where they were changed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from differnet.errors import OutputError
from differnet.watching import Journal, OutputFile, Photograph, Stamp
from differnet.watching.outputs import COLUMNS


def write(root: Path, rows: int, form: str = "csv") -> bytes:
    """Write rows through a journal; returns the file's content."""
    with Journal(root / "journal") as journal:
        output = OutputFile(root / "out", form, journal)
        for i in range(rows):
            add(journal, output, f"{i}.png")
        output.close()
    return (root / "out").read_bytes()


def add(journal: Journal, output: OutputFile, name: str) -> None:
    line = output.line({"path": name, "score": 0.5})
    journal.record(
        Photograph(name, Stamp(1, 2, 3, 4), "", b""), "key", "now", lines={output.number: line}, bodies={}, totals={}
    )
    output.append(line)


def reopen(root: Path, form: str = "csv") -> int:
    with Journal(root / "journal") as journal:
        output = OutputFile(root / "out", form, journal)
        output.close()
        return output.restored


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_cut_off_anywhere_it_becomes_whole_again(tmp_path: Path, form: str) -> None:
    whole = write(tmp_path, 4, form)
    for length in range(len(whole) + 1):
        (tmp_path / "out").write_bytes(whole[:length])
        restored = reopen(tmp_path, form)
        assert (tmp_path / "out").read_bytes() == whole
        assert restored == whole.count(b"\n") - whole[:length].count(b"\n")


def test_zeros_that_a_power_failure_left_are_written_over(tmp_path: Path) -> None:
    whole = write(tmp_path, 4)
    for length in (0, 10, len(whole) - 30):
        (tmp_path / "out").write_bytes(whole[:length] + bytes(len(whole) - length))
        reopen(tmp_path)
        assert (tmp_path / "out").read_bytes() == whole


def test_a_file_that_was_moved_away_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("differnet.watching.journal._LINES_AT_ONCE", 7)
    whole = write(tmp_path, 40)
    (tmp_path / "out").unlink()
    assert reopen(tmp_path) == 41
    assert (tmp_path / "out").read_bytes() == whole


def test_of_a_long_file_the_end_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("differnet.watching.outputs._CHECKED_LINES", 5)
    whole = write(tmp_path, 40)
    (tmp_path / "out").write_bytes(whole[:-1])
    assert reopen(tmp_path) == 1
    (tmp_path / "out").write_bytes(whole.replace(b"38.png", b"xx.png"))
    with pytest.raises(OutputError, match="another program changed it"):
        reopen(tmp_path)


def test_rows_go_on_after_the_restored_ones(tmp_path: Path) -> None:
    whole = write(tmp_path, 3)
    (tmp_path / "out").write_bytes(whole[:-7])
    assert write(tmp_path, 2).startswith(whole)
    assert (tmp_path / "out").read_text().count("\n") == 6


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content + b"more\n",
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.replace(b"2.png", b"x.png"),
        lambda content: content.replace(b"0.5", b""),
    ],
    ids=["longer", "line ends", "a value", "shorter"],
)
def test_a_file_that_another_program_changed_is_left_alone(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    content = change(write(tmp_path, 4))
    (tmp_path / "out").write_bytes(content)
    with pytest.raises(OutputError, match="another program changed it"):
        reopen(tmp_path)
    assert (tmp_path / "out").read_bytes() == content


def test_a_file_that_is_there_already_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("my table")
    for _ in range(2):
        with pytest.raises(OutputError, match="knows nothing of it"):
            reopen(tmp_path)
    assert (tmp_path / "out").read_text() == "my table"


def test_journal_and_output_can_be_moved_together(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write(tmp_path / "a", 2)
    (tmp_path / "a").rename(tmp_path / "b")
    assert reopen(tmp_path / "b") == 0


def test_a_csv_is_not_continued_as_json_lines(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with pytest.raises(OutputError, match="was begun as csv"):
        reopen(tmp_path, "jsonl")


def test_a_folder_and_a_missing_folder(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        with pytest.raises(OutputError, match="not an ordinary file"):
            OutputFile(tmp_path, "csv", journal)
        with pytest.raises(OutputError, match="choose a folder that exists"):
            OutputFile(tmp_path / "no" / "out", "csv", journal)


def test_a_csv_begun_by_an_older_version_keeps_its_columns(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        journal.add_output("out", json.dumps({"form": "csv", "columns": ["path", "old"]}), b"path,old\n")
        output = OutputFile(tmp_path / "out", "csv", journal)
        add(journal, output, "a.png")
        output.close()
    assert (tmp_path / "out").read_text() == "path,old\na.png,\n"


def test_names_with_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    names = ['a,"b".png', "two\nlines.png", "f\u00fcnf.png", "caf\udce9.png"]
    with Journal(tmp_path / "journal") as journal:
        output = OutputFile(tmp_path / "out", "csv", journal)
        for name in names:
            add(journal, output, name)
        output.close()
    with (tmp_path / "out").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["path"] for row in rows] == [*names[:3], "caf\\udce9.png"]
    assert tuple(rows[0]) == COLUMNS
    assert reopen(tmp_path) == 0
