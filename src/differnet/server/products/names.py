"""What a product may be called: its released model is a file of that name, on any system."""

from __future__ import annotations

import re
import unicodedata

from differnet.server.problems import Problem

__all__ = ["checked_name", "folded"]

_LONGEST = 80
# Of a file name most systems take 255 bytes; the ending and what marks unfinished files need room too.
_MOST_BYTES = 200
_REFUSED = '\\/:*?"<>|'
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def checked_name(name: str) -> str:
    """A name as it is kept: composed, without spaces around it.

    Raises:
        Problem: 422 if it cannot be the name of a model file.
    """
    found = unicodedata.normalize("NFC", name).strip()
    if not found:
        raise Problem(422, "The product has no name; give it one, such as 'bottle'.")
    if len(found) > _LONGEST or len(found.encode("utf-8", "replace")) > _MOST_BYTES:
        raise Problem(422, f"The name is too long; {_LONGEST} characters are allowed.")
    if any(letter in _REFUSED or unicodedata.category(letter)[0] == "C" for letter in found):
        raise Problem(422, f"The name has a character that no file name may have, such as {' '.join(_REFUSED)}.")
    if found[0] == "." or found[-1] == "." or _DEVICES.fullmatch(found):
        raise Problem(422, "The name cannot be that of a file; begin and end it with a letter or digit.")
    return found


def folded(name: str) -> str:
    """What is the same for names that differ in case alone."""
    return unicodedata.normalize("NFC", name.casefold())
