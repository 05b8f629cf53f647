"""Which files are inspected, and that it happens once."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from differnet.errors import DatasetError
from tests.watching.conftest import Station, once


def test_every_image_once_and_a_restart_does_nothing(tmp_path: Path, drop: Path) -> None:
    for name in ("b.png", "a.JPG", "c.tif"):
        (drop / name).write_bytes(name.encode())
    (drop / "line1").mkdir()
    (drop / "line1" / "d.png").write_bytes(b"d")
    first = once(tmp_path)
    assert sorted(first.names()) == ["a.JPG", "b.png", "c.tif", "line1/d.png"]
    second = once(tmp_path)
    assert second.model.seen == []
    assert len(second.rows()) == 4


@pytest.mark.parametrize(
    "name", [".a.png", "a.png.part", "a.tmp", "notes.txt", ".hidden/a.png", "@eaDir/a.png", "a.png.crdownload"]
)
def test_names_of_files_being_written_are_left_alone(tmp_path: Path, drop: Path, name: str) -> None:
    (drop / name).parent.mkdir(exist_ok=True)
    (drop / name).write_bytes(b"x")
    assert once(tmp_path).names() == []


def test_a_new_photograph_under_an_old_name_is_inspected(tmp_path: Path, drop: Path) -> None:
    (drop / "a.png").write_bytes(b"1")
    once(tmp_path)
    (drop / "a.png").write_bytes(b"2")
    once(tmp_path)
    (drop / "a.png").write_bytes(b"1")
    assert [row["score"] for row in once(tmp_path).rows()] == [49.0, 50.0, 49.0]


def test_one_of_the_same_size_with_its_times_set_back_too(tmp_path: Path, drop: Path) -> None:
    (drop / "a.bmp").write_bytes(b"1")
    before = (drop / "a.bmp").stat()
    once(tmp_path)
    time.sleep(0.02)  # the clock of the file system has steps
    (drop / "a.bmp").write_bytes(b"2")
    os.utime(drop / "a.bmp", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (drop / "a.bmp").stat().st_mtime_ns == before.st_mtime_ns
    assert len(once(tmp_path).rows()) == 2


def test_a_touch_is_no_new_photograph(tmp_path: Path, drop: Path) -> None:
    (drop / "a.png").write_bytes(b"1")
    once(tmp_path)
    os.utime(drop / "a.png", (1, 1))
    assert once(tmp_path).model.seen == []
    (drop / "a.png").write_bytes(b"1")  # written anew, with the same content
    station = once(tmp_path)
    assert station.model.seen == []
    assert len(station.rows()) == 1


def test_an_unreadable_image_has_one_row_until_it_changes(tmp_path: Path, drop: Path) -> None:
    (drop / "a.png").write_bytes(b"bad")
    (drop / "b.png").write_bytes(b"b")
    (drop / "empty.png").write_bytes(b"")
    first = once(tmp_path)
    rows = {Path(row["path"]).name: row for row in first.rows()}
    assert rows["a.png"]["error"] == f"{drop / 'a.png'}: is not an image; remove it."
    assert rows["a.png"]["score"] is None
    assert rows["a.png"]["model_id"] == "quick"
    assert rows["b.png"]["error"] is None
    assert (first.watch.inspected, first.watch.failed) == (1, 2)
    assert any("a.png" in warning for warning in first.warnings)
    assert once(tmp_path).watch.failed == 0
    (drop / "a.png").write_bytes(b"good")
    assert once(tmp_path).rows()[-1]["error"] is None


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_has_a_row_and_is_tried_again_once_it_has(tmp_path: Path, drop: Path) -> None:
    (drop / "a.png").write_bytes(b"a")
    (drop / "a.png").chmod(0)
    assert "make it readable" in once(tmp_path).rows()[0]["error"]
    (drop / "a.png").chmod(0o600)
    assert once(tmp_path).rows()[1]["score"] == 97.0


def test_a_file_is_not_taken_while_it_is_written(tmp_path: Path, drop: Path) -> None:
    def write() -> None:
        with (drop / "a.png").open("wb", buffering=0) as stream:
            for _ in range(12):
                stream.write(b"a")
                time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.02)
    station = once(tmp_path, settle=0.3)
    writer.join()
    assert station.model.seen == [b"a" * 12]


def test_names_that_are_not_text(tmp_path: Path, drop: Path) -> None:
    name = os.fsencode(drop) + b"/caf\xe9\n.png"
    try:
        Path(os.fsdecode(name)).write_bytes(b"1")
    except OSError:
        pytest.skip("the file system takes none")
    assert len(once(tmp_path).rows()) == 1
    assert once(tmp_path).model.seen == []


def test_it_goes_on_after_a_stop_in_the_middle(tmp_path: Path, drop: Path) -> None:
    for i in range(80):
        (drop / f"{i:02}.png").write_bytes(b"%02d" % i)
    station = Station(tmp_path)
    station.model.on_image = lambda content: station.watch.stop() if content == b"09" else None
    station.watch.once()
    station.close()
    assert 1 <= len(station.rows()) < 80
    assert sorted(once(tmp_path).names()) == [f"{i:02}.png" for i in range(80)]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    station = Station(tmp_path)
    station.folder.rmdir()
    with pytest.raises(DatasetError, match="drop: cannot be read"):
        station.watch.once()
    with pytest.raises(DatasetError, match="no such folder"):
        station.watch.run()
    station.close()
