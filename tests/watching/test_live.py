"""Watching while files come: by the system's events, by polling, and through what happens to folders."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from differnet.watching import events
from tests.watching.conftest import Station


@contextmanager
def running(
    root: Path, folder: Path | None = None, *, settle: float = 0.05, poll: float | None = None
) -> Iterator[Station]:
    station = Station(root, folder, settle=settle, poll=poll)
    thread = threading.Thread(target=station.watch.run)
    thread.start()
    try:
        yield station
    finally:
        station.watch.stop()
        thread.join(10)
        assert not thread.is_alive()
        station.close()


def until(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    """Wait for something; returns how long it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds
        time.sleep(0.005)
    return time.monotonic() - started


def settled(station: Station) -> None:
    """Wait until what was there at the start is done, so that the rest comes by events."""
    (station.folder / "first.png").write_bytes(b"0")
    until(lambda: len(station.rows()) == 1)


@pytest.mark.parametrize("poll", [None, 0.1], ids=["events", "polling"])
def test_files_that_come_are_inspected_soon(tmp_path: Path, drop: Path, poll: float | None) -> None:
    with running(tmp_path, poll=poll) as station:
        settled(station)
        (drop / "a.png").write_bytes(b"a")
        assert until(lambda: "a.png" in station.names()) < 2.0
        (drop / "2024" / "05").mkdir(parents=True)
        (drop / "2024" / "05" / "b.png").write_bytes(b"b")
        assert until(lambda: "2024/05/b.png" in station.names()) < 2.0
        shutil.copy(drop / "a.png", tmp_path / "c.png")
        (drop / "a.png").write_bytes(b"other")
        until(lambda: station.names().count("a.png") == 2)
    assert sorted(station.names()) == ["2024/05/b.png", "a.png", "a.png", "first.png"]


@pytest.mark.parametrize("source", ["drop/.a.part", "drop/a.png.part", "elsewhere.png"])
def test_a_file_renamed_into_place_is_taken_at_once(tmp_path: Path, drop: Path, source: str) -> None:
    with running(tmp_path, settle=600.0) as station:
        for i in range(100):  # until the events come
            (tmp_path / "first").write_bytes(b"%d" % i)
            (tmp_path / "first").rename(drop / f"first{i}.png")
            time.sleep(0.1)
            if station.rows():
                break
        (tmp_path / source).write_bytes(b"a")
        (tmp_path / source).rename(drop / "a.png")
        assert until(lambda: "a.png" in station.names()) < 5.0


@pytest.mark.parametrize("name", [".", "link", "../station/link"])
def test_folders_named_in_other_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "station" / "drop").mkdir(parents=True)
    (tmp_path / "station" / "link").symlink_to("drop")
    monkeypatch.chdir(tmp_path / "station" / ("drop" if name == "." else ""))
    with running(tmp_path, folder=Path(name)) as station:
        settled(station)
        Path(name, "a.png").write_bytes(b"a")
        assert until(lambda: "a.png" in station.names()) < 5.0
    assert station.rows()[1]["path"] == str(Path(name, "a.png"))


def test_a_folder_moved_into_place(tmp_path: Path, drop: Path) -> None:
    (tmp_path / "lot").mkdir()
    for i in range(5):
        (tmp_path / "lot" / f"{i}.png").write_bytes(b"%d" % i)
    with running(tmp_path) as station:
        settled(station)
        (tmp_path / "lot").rename(drop / "lot")
        assert until(lambda: len(station.rows()) == 6) < 5.0


def test_many_files_at_once_while_it_works(tmp_path: Path, drop: Path) -> None:
    with running(tmp_path) as station:
        settled(station)
        station.model.on_image = lambda content: time.sleep(0.002)
        for i in range(300):
            (drop / f"{i}.png").write_bytes(b"%d" % i)
        until(lambda: len(station.rows()) >= 301)
        time.sleep(0.2)
    assert len(set(station.names())) == len(station.names()) == 301


def test_a_lone_file_does_not_wait_for_the_next(tmp_path: Path, drop: Path) -> None:
    with running(tmp_path, settle=0.1) as station:
        settled(station)
        for i in range(3):
            (drop / f"{i}.png").write_bytes(b"%d" % i)
            assert until(lambda i=i: f"{i}.png" in station.names()) < 1.5  # type: ignore[misc]


def test_a_folder_that_goes_away_and_comes_back(tmp_path: Path, drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("differnet.watching.watcher._RESCAN", 0.2)
    with running(tmp_path) as station:
        settled(station)
        drop.rename(tmp_path / "away")
        until(lambda: any("looked for again" in warning for warning in station.warnings))
        (tmp_path / "away" / "a.png").write_bytes(b"a")
        (tmp_path / "away").rename(drop)
        until(lambda: "a.png" in station.names())
        shutil.rmtree(drop)
        drop.mkdir()  # often with the same inode
        time.sleep(0.5)
        monkeypatch.setattr("differnet.watching.watcher._RESCAN", 1000.0)
        time.sleep(1.3)
        (drop / "b.png").write_bytes(b"b")
        until(lambda: "b.png" in station.names())
    assert sorted(station.names()) == ["a.png", "b.png", "first.png"]


def test_a_system_without_events_is_polled(tmp_path: Path, drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(events, "_observer", refuse)
    with running(tmp_path) as station:
        settled(station)
        (drop / "a.png").write_bytes(b"a")
        until(lambda: "a.png" in station.names())
    assert "inotify watch limit reached" in station.warnings[0]
    assert "looked through every second" in station.warnings[0]


def test_a_ring_buffer_that_deletes_before_it_is_read(tmp_path: Path, drop: Path) -> None:
    with running(tmp_path, settle=0.3) as station:
        settled(station)
        (drop / "a.png").write_bytes(b"a")
        time.sleep(0.05)
        (drop / "a.png").unlink()
        (drop / "b.png").write_bytes(b"b")
        until(lambda: "b.png" in station.names())
    assert station.names() == ["first.png", "b.png"]
    assert station.said == [f"{drop / 'a.png'}: went away before it could be inspected."]
