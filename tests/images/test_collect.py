"""Which files count as images, in which order, and what is said about the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from differnet.errors import DatasetError
from differnet.images import IMAGE_SUFFIXES, collect_images, read_good_images, read_test_images


def touch(root: Path, *names: str) -> Path:
    """Empty files: collecting looks at names alone."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


def names(root: Path, paths: list[Path]) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


def test_a_folder_is_searched_through_in_the_order_of_paths(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a/2.png", "a/10.png", "c/deep/er/1.jpg", "a.png", "Z.png")
    expected = ["Z.png", "a.png", "a/10.png", "a/2.png", "b.png", "c/deep/er/1.jpg"]
    assert names(tmp_path, collect_images(tmp_path).paths) == expected


def test_every_admitted_suffix_counts_in_any_case(tmp_path: Path) -> None:
    files = {name for suffix in IMAGE_SUFFIXES for name in (f"lower{suffix}", f"UPPER{suffix.upper()}")}
    touch(tmp_path, *files)
    assert set(names(tmp_path, collect_images(tmp_path).paths)) == files


@pytest.mark.parametrize(
    "name", ["$RECYCLE.BIN", "#recycle", "@Recycle", "@eaDir", "__MACOSX", "System Volume Information", "lost+found"]
)
def test_what_systems_keep_beside_images_is_hidden(tmp_path: Path, name: str) -> None:
    for folder in ("train/good", "test/good", "test/scratch"):
        touch(tmp_path / folder, "0.png", "1.png")
        touch(tmp_path / folder / name, "0.png", "2.png")
    touch(tmp_path / "test" / name, "3.png")
    touch(tmp_path / name, "4.png")
    good, tested = read_good_images(tmp_path), read_test_images(tmp_path)
    assert (len(good.paths), good.hidden) == (2, 2)
    assert {image.kind for image in tested} == {"good", "scratch"}
    assert len(tested) == 4


def test_hidden_files_and_folders_and_other_files_are_passed_over_and_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", ".b.png", ".thumbs/c.png", "d/.e/f.png", "notes.md", "d/g.csv", "Makefile")
    found = collect_images(tmp_path)
    assert names(tmp_path, found.paths) == ["a.png"]
    assert (found.hidden, found.not_images) == (3, 3)
    assert found.passed_over == "passed over 3 hidden and 3 not named as an image file(s)"


def test_a_dot_above_the_folder_that_was_given_hides_nothing(tmp_path: Path) -> None:
    touch(tmp_path, ".data/parts/a.png")
    found = collect_images(tmp_path / ".data" / "parts")
    assert (len(found.paths), found.hidden) == (1, 0)


def test_nothing_passed_over_needs_no_words(tmp_path: Path) -> None:
    assert collect_images(touch(tmp_path, "a.png")).passed_over == ""


def test_a_folder_named_like_an_image_is_searched_and_no_image(tmp_path: Path) -> None:
    touch(tmp_path, "batch.png/a.png")
    assert names(tmp_path, collect_images(tmp_path).paths) == ["batch.png/a.png"]


def test_a_file_named_outright_is_taken_whatever_its_name(tmp_path: Path) -> None:
    touch(tmp_path, "frame", ".hidden.dat")
    files = [tmp_path / "frame", tmp_path / ".hidden.dat"]
    assert collect_images(files).paths == files


@pytest.mark.parametrize("as_given", [str, Path])
def test_one_source_may_be_given_bare(tmp_path: Path, as_given: type[str] | type[Path]) -> None:
    file = touch(tmp_path, "a.png") / "a.png"
    assert collect_images(as_given(file)).paths == [file]


def test_sources_keep_their_order_and_every_path_comes_once(tmp_path: Path) -> None:
    touch(tmp_path, "z.png", "folder/b.png", "folder/a.png")
    (tmp_path / "list.txt").write_text("folder/b.png\nz.png\n")
    sources = [tmp_path / "z.png", tmp_path / "folder", tmp_path / "list.txt", tmp_path / "folder" / "a.png"]
    assert names(tmp_path, collect_images(iter(sources)).paths) == ["z.png", "folder/a.png", "folder/b.png"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_list_file_has_one_path_per_line_with_comments(tmp_path: Path, encoding: str, line_end: str) -> None:
    absolute = touch(tmp_path, "elsewhere/c.png") / "elsewhere" / "c.png"
    lines = ["parts/ä b.png", "", "# not this one", "  # nor this", "  parts/a.png  ", str(absolute)]
    list_file = touch(tmp_path, "lists/good.TXT") / "lists" / "good.TXT"
    list_file.write_bytes(line_end.join(lines).encode(encoding))
    expected = [tmp_path / "lists/parts/ä b.png", tmp_path / "lists/parts/a.png", absolute]
    assert collect_images(list_file).paths == expected


def test_list_entries_are_relative_to_the_list_and_not_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "lists/a.png", "work/a.png")
    (tmp_path / "lists" / "l.txt").write_text("a.png")
    monkeypatch.chdir(tmp_path / "work")
    assert collect_images(os.path.join("..", "lists", "l.txt")).paths == [Path("../lists/a.png")]  # noqa: PTH118


def test_an_image_missing_from_a_list_is_left_for_reading_to_report(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("gone.png")
    assert collect_images(tmp_path / "l.txt").paths == [tmp_path / "gone.png"]


def test_a_list_that_is_not_text_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(DatasetError, match=r"l\.txt: is not a UTF-8"):
        collect_images(tmp_path / "l.txt")


@pytest.mark.parametrize("name", ["gone.png", "gone", "gone.txt"])
def test_a_source_that_does_not_exist_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "a.png")
    with pytest.raises(DatasetError) as raised:
        collect_images([tmp_path / "a.png", tmp_path / name])
    assert f"{tmp_path / name}: no such file" in str(raised.value)


def test_a_folder_without_images_is_an_error_that_says_what_was_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, ".a.png", "b.doc", "c.doc")
    with pytest.raises(DatasetError) as raised:
        collect_images(tmp_path)
    assert f"{tmp_path}: no images found" in str(raised.value)
    assert "1 hidden and 2 not named as an image" in str(raised.value)


@pytest.mark.parametrize("content", ["", "# only a comment\n"])
def test_an_empty_list_file_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "l.txt").write_text(content)
    with pytest.raises(DatasetError, match=r"l\.txt: no images found"):
        collect_images(tmp_path / "l.txt")


def test_no_source_at_all_is_an_error() -> None:
    with pytest.raises(DatasetError, match="no images found"):
        collect_images([])


def test_an_empty_path_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").touch()
    monkeypatch.chdir(tmp_path)
    assert len(collect_images(".").paths) == 1
    for read in (collect_images, read_good_images):
        with pytest.raises(DatasetError, match=r"path is empty.*'\.'"):
            read("")


def test_linked_folders_are_counted_and_not_searched(tmp_path: Path) -> None:
    touch(tmp_path, "parts/a.png", "other/b.png")
    (tmp_path / "parts" / "link").symlink_to("../other")
    (tmp_path / "parts" / "circle").symlink_to(".")
    found = collect_images(tmp_path / "parts")
    assert names(tmp_path, found.paths) == ["parts/a.png"]
    assert names(tmp_path, found.linked) == ["parts/circle", "parts/link"]
    assert "2 linked folder(s)" in found.passed_over
    assert str(tmp_path / "parts" / "link") in found.passed_over
    assert names(tmp_path, collect_images(tmp_path / "parts" / "link").paths) == ["parts/link/b.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root opens every folder")
def test_folders_that_cannot_be_opened_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "closed/b.png")
    (tmp_path / "closed").chmod(0)
    found = collect_images(tmp_path)
    (tmp_path / "closed").chmod(0o700)
    assert names(tmp_path, found.unreadable) == ["closed"]


def test_links_that_lead_nowhere_and_paths_too_long_to_open_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.png")
    (tmp_path / "lost.png").symlink_to("gone.png")
    (tmp_path / "self.png").symlink_to("self.png")
    monkeypatch.chdir(tmp_path)
    for _ in range(60):
        Path("d" * 80).mkdir()
        monkeypatch.chdir("d" * 80)
    monkeypatch.chdir(tmp_path)
    found = collect_images(tmp_path)
    assert names(tmp_path, found.paths) == ["a.png"]
    assert [path.name for path in found.unreadable] == ["d" * 80, "lost.png", "self.png"]
    assert "3 folder(s) or link(s) that cannot be opened" in found.passed_over
    with pytest.raises(DatasetError, match="cannot be opened"):
        collect_images("d" * 5000)
