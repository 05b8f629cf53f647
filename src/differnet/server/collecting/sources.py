"""The cameras and folders that pictures may be taken from: clients name them, and know no more of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from differnet.cameras import make_camera
from differnet.errors import SettingsError

__all__ = ["Sources"]

_LONGEST = 60


@dataclass(frozen=True)
class Sources:
    """What clients may ask for, by name.

    Attributes:
        cameras: Sources as `make_camera` takes them, which may hold a password.
        folders: Folders, which are searched through.
    """

    cameras: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def named(
        cls,
        cameras: Sequence[str] = (),
        folders: Sequence[str] = (),
        prepared: Callable[[str], str] = lambda source: source,
    ) -> Sources:
        """Read ``NAME=SOURCE`` and ``NAME=FOLDER``; no camera is opened.

        Args:
            cameras: As they were given.
            folders: As they were given.
            prepared: Makes of a camera's source the one that is opened, with a password for instance.

        Raises:
            SettingsError: If one cannot be used.
            MissingExtraError: If a camera takes a package that is not installed.
        """
        found = {name: prepared(source) for name, source in _pairs(cameras, "--camera").items()}
        for source in found.values():
            make_camera(source)
        places = {name: Path(folder) for name, folder in _pairs(folders, "--folder").items()}
        for place in places.values():
            if not place.is_dir():
                raise SettingsError(f"{place}: no such folder; check the path of --folder.")
        return cls(found, places)


def _pairs(given: Sequence[str], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        name, separator, what = each.partition("=")
        name = unicodedata.normalize("NFC", name).strip()
        if not separator or not name or not what:
            raise SettingsError(f"{option} takes a name and what it stands for, such as {_EXAMPLES[option]}.")
        if len(name) > _LONGEST or any(letter in "/\\" or unicodedata.category(letter)[0] == "C" for letter in name):
            raise SettingsError(f"{option} {name[:_LONGEST]}: no name; take letters and digits, {_LONGEST} at most.")
        if name in found:
            raise SettingsError(f"{option} {name}: is given twice; give each a name of its own.")
        found[name] = what
    return found


_EXAMPLES = {"--camera": "--camera line1=0", "--folder": "--folder good=/data/good"}
