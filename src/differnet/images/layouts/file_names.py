"""What names of files in one folder say of the parts: not all that lies side by side is good."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path, PurePath

from differnet.errors import DatasetError
from differnet.images.layouts.names import Label, Split, is_kind_of_defect, is_negation, read_role, words_of
from differnet.images.layouts.tree import Folder

__all__ = ["check_file_names"]

_NUMBER = re.compile(r"\d+")
_DEFECT = Label.DEFECTIVE


def check_file_names(folder: Folder, *, is_named_good: bool) -> None:
    """Refuse names of which some say what parts are shown and others say otherwise, or nothing; or all defective.

    Args:
        folder: With the images.
        is_named_good: Whether it is named as one of good parts, so that names need not say it again.

    Raises:
        DatasetError: If it is so; it says which to name by ``--good``.
    """
    # Names mostly differ in numbers alone.
    kinds = {_NUMBER.sub("0", image.stem): image for image in folder.images}
    _check_splits(folder, kinds)
    unsaid = Label.GOOD if is_named_good else None
    said = {stem: read_role(stem).label for stem in kinds}
    by_kind = not is_named_good and not any(said.values())
    if by_kind:
        said = _kinds_of_defects(kinds)
    labels = {said[stem] or unsaid: image.name for stem, image in kinds.items()}
    if len(labels) < 2 and _DEFECT not in labels:
        return
    words = {Label.GOOD: "good parts", _DEFECT: "defective ones", None: "what is not said"}
    shown = ", ".join(f"{words[label]} ({labels[label]})" for label in words if label in labels)
    wanted = Label.GOOD if Label.GOOD in labels else None
    example = _pattern(labels.pop(wanted, ""), labels.values())
    if by_kind and list(said.values()).count(_DEFECT) > 1:  # beside several kinds of defects, others may be kinds too
        example = "PATTERN"
    raise DatasetError(
        f"{folder.path}: by their names some images show {shown}; say which to learn from, such as --good "
        f"'{example}', or --good '*' for all."
    )


def _kinds_of_defects(kinds: Mapping[str, Path]) -> dict[str, Label | None]:
    """Names that tell apart by words for defects: ``scratch_1`` beside ``part_1``, not ``hole_plate``, ``hole_lid``."""
    words = {stem: words_of(stem) for stem in kinds}
    negated = {stem for stem, found in words.items() if any(map(is_negation, found))}
    # Of 'scratch_1' and 'no_scratch_1' the word that they share tells all the same.
    shared = frozenset[str]() if negated or not words else frozenset.intersection(*words.values())
    return {
        stem: _DEFECT if stem not in negated and any(map(is_kind_of_defect, found - shared)) else None
        for stem, found in words.items()
    }


def _check_splits(folder: Folder, kinds: Mapping[str, Path]) -> None:
    """Refuse names that say what images are for: to learn from and to test with, or pairs such as temp and test."""
    splits = {stem: read_role(stem).split for stem in kinds}
    tested = [stem for stem, split in splits.items() if split in (Split.TEST, Split.VALIDATION)]
    if not tested:
        return
    learnt = next((stem for stem, split in splits.items() if split is Split.TRAIN), None)
    if learnt is None:
        beginnings = {stem: _beginning(stem) for stem, split in splits.items() if split is None}
        pairs = {_beginning(stem) for stem in tested} - {None}
        learnt = next((stem for stem, begins in beginnings.items() if begins in pairs), None)
    if learnt is None:
        return
    first, other = kinds[learnt].name, kinds[tested[0]].name
    raise DatasetError(
        f"{folder.path}: by their names some images are to test with ({other}), beside others ({first}), and may show "
        f"defects; say which to learn from, such as --good '{_pattern(first, [other])}', or --good '*' for all."
    )


def _beginning(stem: str) -> str | None:
    """What stands before the last word: ``00041000`` of ``00041000_test``."""
    found = re.match(r"(?s)(.*\w)[ _.-]+[^\W\d_]+$", stem)
    return None if found is None else found[1]


def _pattern(name: str, others: Iterable[str]) -> str:
    """What names like it have in common, if no others do."""
    path = PurePath(name)
    numbered = _NUMBER.sub("*", path.stem)
    pattern = name if numbered == path.stem else numbered if numbered.endswith("*") else numbered + path.suffix
    return "PATTERN" if not pattern or any(fnmatch(each, pattern) for each in others) else pattern
