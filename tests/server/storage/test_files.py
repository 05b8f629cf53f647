"""Originals on the disk: whole, private, and each by itself."""

from __future__ import annotations

import hashlib
import stat
import sys
from pathlib import Path

import pytest

from differnet.server.storage.files import FileStore


def contents(*images: bytes) -> dict[str, bytes]:
    return {hashlib.sha256(image).hexdigest(): image for image in images}


def test_originals_are_kept_whole_and_for_this_user_alone(tmp_path: Path) -> None:
    files = FileStore(tmp_path)
    wanted = contents(b"one", b"two" * 100_000, b"")
    assert files.store(wanted) == {}
    assert dict(files.originals()).keys() == wanted.keys()
    for sha256, content in wanted.items():
        assert files.image(sha256).read_bytes() == content
        if sys.platform != "win32":
            assert stat.S_IMODE(files.image(sha256).stat().st_mode) == 0o600
    assert not list(files.strays(-60.0))


def test_what_is_there_already_is_left_as_it_is(tmp_path: Path) -> None:
    files = FileStore(tmp_path)
    wanted = contents(b"one")
    files.store(wanted)
    [path] = (files.image(sha256) for sha256 in wanted)
    before = path.stat().st_ino
    assert files.store(wanted) == {}
    assert path.stat().st_ino == before


def test_one_that_cannot_be_written_is_told_and_the_others_are_kept(tmp_path: Path) -> None:
    files = FileStore(tmp_path)
    wanted = contents(*(bytes([i]) for i in range(5)))
    lost = next(iter(wanted))
    (tmp_path / "images" / lost[:2]).write_bytes(b"in the way of the folder")
    failed = files.store(wanted)
    assert failed.keys() == {lost}
    assert isinstance(failed[lost], OSError)
    for sha256, content in wanted.items():
        if sha256 != lost:
            assert files.image(sha256).read_bytes() == content
    assert not list(files.strays(-60.0))


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    files = FileStore(tmp_path)
    # The second is still in Python's own buffer when writing it fails, the third is not.
    small, larger, large = b"small", b"larger" * 100, b"large" * 100_000
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    wanted = contents(small, larger, large)
    # A bound on the size of files stands for the disk: writing fails as on a full one.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        failed = files.store(wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert failed.keys() == contents(larger, large).keys()
    assert dict(files.originals()).keys() == contents(small).keys()
    assert not list(files.strays(-60.0))


def test_a_damaged_original_is_replaced_when_it_comes_again(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    for damage in (b"", b"contend", b"content and more"):
        assert store.store({"a" * 64: b"content"}) == {}
        store.image("a" * 64).write_bytes(damage)
        assert store.store({"a" * 64: b"content"}) == {}
        assert store.image("a" * 64).read_bytes() == b"content"
