"""A file appears whole or not at all, and nothing else is left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from differnet.errors import OutputError
from differnet.files import replacing, replacing_for_good, staging, unfinished, written_whole

Writer = Callable[[Path], AbstractContextManager[Path]]
WRITERS = [replacing, replacing_for_good, written_whole]


@pytest.mark.parametrize("writer", WRITERS)
def test_until_it_is_complete_the_old_file_stays(writer: Writer, tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with writer(target) as part:
        part.write_text("new")
        assert target.read_text() == "old"
        assert part.parent == tmp_path
        assert part.name.startswith(".")
    assert target.read_text() == "new"
    assert [*tmp_path.iterdir()] == [target]


@pytest.mark.parametrize("writer", WRITERS)
def test_one_that_fails_leaves_nothing(writer: Writer, tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), writer(target) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert [*tmp_path.iterdir()] == [target]


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    unfinished(target).write_text("half")
    with replacing_for_good(target) as part:
        assert not part.exists()
        part.write_text("new")
    assert [*tmp_path.iterdir()] == [target]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_the_umask_decides_who_may_read_it(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        with replacing(tmp_path / "a") as part:
            part.unlink()  # as libraries do that write another file and rename it
            part.write_text("new")
            part.chmod(0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("mode", [0o600, 0o444, 0o664])
def test_who_may_read_it_stays_as_it_was(mode: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(mode)
    with replacing(tmp_path / "a") as part:
        part.write_text("new")
    assert (tmp_path / "a").read_text() == "new"
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


class _SerialisingError(Exception):
    pass


def test_what_fails_is_told_in_a_sentence(tmp_path: Path) -> None:
    missing = tmp_path / "none" / "a.txt"
    with pytest.raises(OutputError, match=r"a\.txt: cannot be written \(No such file.*\); choose a folder that exists"):
        written_whole(missing).__enter__()
    told = pytest.raises(OutputError, match=r"\(disk of clay\); buy another\.")
    with told, written_whole(tmp_path / "a", "buy another.", also=_SerialisingError):
        raise _SerialisingError("disk of clay")
    with pytest.raises(OutputError, match="cannot be written"), staging(missing):
        pass
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", Path()):
        with pytest.raises(OutputError, match="cannot be written"), written_whole(path) as part:
            part.write_text("text")
    assert [*tmp_path.iterdir()] == [tmp_path / "folder"]


def test_a_staging_folder_goes_with_what_is_left_in_it(tmp_path: Path) -> None:
    target = tmp_path / "a.xml"
    with staging(target) as folder:
        for name in ("b.xml", "b.bin", "b.log"):
            (folder / name).write_text(name)
        for suffix in (".bin", ".xml"):
            (folder / f"b{suffix}").replace(target.with_suffix(suffix))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.xml"]
