"""What users meet of the journal file itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from differnet.errors import OutputError
from differnet.watching import Journal
from differnet.watching.journal import _APPLICATION, _TABLES


def test_only_one_watch_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal"), pytest.raises(OutputError, match="in use by another 'differnet watch'"):
        Journal(tmp_path / "journal")
    Journal(tmp_path / "journal").close()


def test_files_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("my notes, longer than the header of a database " * 20)
    with closing(sqlite3.connect(tmp_path / "other")) as database:
        database.execute("CREATE TABLE mine (a)")
    for name, told in (("text", "is not a journal"), ("other", "database of another program")):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(OutputError, match=told):
            Journal(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before


def test_a_journal_of_before_goes_on_with_its_queue(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "journal")) as database:
        database.executescript(_TABLES + f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = 1")
        database.execute("INSERT INTO deliveries (key, body) VALUES ('k', '{}')")
        database.commit()
    for _ in range(2):
        with Journal(tmp_path / "journal") as journal:
            delivery, _ = journal.next_delivery("webhook", 0.0)
            assert delivery is not None
            assert (delivery.key, journal.undelivered("mqtt"), journal.totals()) == ("k", 0, {})


def test_a_newer_journal(tmp_path: Path) -> None:
    Journal(tmp_path / "journal").close()
    with closing(sqlite3.connect(tmp_path / "journal")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(OutputError, match="newer version; update differnet"):
        Journal(tmp_path / "journal")


@pytest.mark.parametrize("name", ["", "no/journal"])
def test_a_journal_that_cannot_be_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"is a folder|choose a folder that exists"):
        Journal(tmp_path / name)


def test_a_full_disk(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        journal._database.execute("PRAGMA max_page_count = 12")
        with pytest.raises(OutputError, match="has space"):
            journal.add_output("big", "", bytes(10_000_000))
        assert journal.find_output("big") is None


@pytest.mark.parametrize("count", ["'x'", "9e999", "x'00'"])
def test_a_number_that_damage_made_none(tmp_path: Path, count: str) -> None:
    Journal(tmp_path / "journal").close()
    with closing(sqlite3.connect(tmp_path / "journal")) as database:
        database.execute(f"INSERT INTO totals VALUES ('reject', {count})")
        database.commit()
    with Journal(tmp_path / "journal") as journal, pytest.raises(OutputError, match="is damaged; choose another name"):
        journal.totals()
