"""Which images show the same part, by their folders or names."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from differnet.errors import DatasetError, SettingsError
from differnet.images import ImageSource

__all__ = ["BY_FOLDER", "labels_of"]

BY_FOLDER = "folder"


def labels_of(sources: Sequence[ImageSource], group_by: str) -> list[str]:
    """Name the group of each image.

    Args:
        sources: Paths.
        group_by: ``folder``, for the folder that an image lies in; or a regular expression that is found in the name of
            every image: images for which its groups, or without groups all of it, are the same belong together.

    Raises:
        SettingsError: If it is no regular expression.
        DatasetError: If there are images without a path, or names in which it is not found.
    """
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise SettingsError(
            f"'{group_by}' is neither 'folder' nor a regular expression ({error}); write for example 'part(\\d+)'."
        ) from None
    labels: list[str] = []
    for source in sources:
        if not isinstance(source, (str, os.PathLike)):
            raise DatasetError("Images without a path cannot be grouped by it; give fit() their groups.")
        path = Path(source)
        if group_by == BY_FOLDER:
            labels.append(str(path.parent))
            continue
        found = pattern.search(path.name)
        if found is None:
            raise DatasetError(
                f"{path}: its name does not hold '{group_by}', by which images are to be grouped; give a pattern that "
                "all names hold."
            )
        labels.append("\0".join(part or "" for part in found.groups()) or found[0])
    return labels
