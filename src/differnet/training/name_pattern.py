"""Do file names tell which images show the same part? Found out from which images look most alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

import numpy as np

__all__ = ["telling_pattern"]

_TOKEN = re.compile(r"\d+|[^\W\d_]+")
_LEAST_IMAGES = 20
# Of the images whose nearest would be of another part by chance, this share must have it among their own.
_LEAST_EXCESS = 0.6


def telling_pattern(names: Sequence[str], nearest: Sequence[int]) -> str:
    """Find a part of the names that images share which look alike.

    Names such as ``01_200829_397500_315.jpg`` are taken apart at changes between digits, letters and other signs. A
    part of them tells something where far more images than by chance have the image most like them among those of the
    same value (Cohen's kappa above 0.6). Of several such parts the one with the most values is taken.

    Args:
        names: Of the images; they may be paths.
        nearest: For each image the place of the one most like it.

    Returns:
        A regular expression for names, whose group is that part; empty where no part tells anything.
    """
    stems = [PurePath(name).stem for name in names]
    tokens = [_TOKEN.findall(stem) for stem in stems]
    if len(names) < _LEAST_IMAGES or len({len(of_name) for of_name in tokens}) != 1:
        return ""
    found: list[tuple[int, int]] = []
    for place in range(len(tokens[0])):
        _, values, counts = np.unique([of_name[place] for of_name in tokens], return_inverse=True, return_counts=True)
        if not 1 < len(counts) <= len(names) / 2:
            continue
        chance = float(((counts / len(names)) ** 2).sum())
        same = float((values[np.asarray(nearest)] == values).mean())
        if (same - chance) / (1 - chance) > _LEAST_EXCESS:
            found.append((len(counts), place))
    return _pattern(stems[0], max(found)[1]) if found else ""


def _pattern(stem: str, place: int) -> str:
    """What matches the tokens of a name up to one of them, which is the group."""
    pattern, end = "^", 0
    for number, token in enumerate(_TOKEN.finditer(stem)):
        kind = r"\d+" if token[0].isdigit() else "[A-Za-z]+"
        pattern += re.escape(stem[end : token.start()]) + (f"({kind})" if number == place else kind)
        end = token.end()
        if number == place:
            break
    # What follows must not be more of the same.
    return pattern + (r"(?!\d)" if stem[:end][-1].isdigit() else "(?![A-Za-z])")
