"""The simplest layouts: images of good parts alone, named in a list or lying in a folder."""

from __future__ import annotations

from pathlib import Path

from differnet.images.collect import LIST_SUFFIX, Collection, collect_images
from differnet.images.layouts.layout import Layout, Recognition, Sureness

__all__ = ["ListLayout", "PlainLayout"]


class ListLayout(Layout):
    """A text file with the path of a good image on each line."""

    name = "list file"

    def recognises(self, root: Path) -> Recognition | None:
        """By its name."""
        if root.suffix.lower() == LIST_SUFFIX and root.is_file():
            return Recognition(Sureness.SURE, f"is a file '*{LIST_SUFFIX}'")
        return None

    def good_images(self, root: Path) -> Collection:
        """Those that it names."""
        return collect_images(root)


class PlainLayout(Layout):
    """A folder of good images, searched through, or a single image."""

    name = "plain folder"

    def recognises(self, root: Path) -> Recognition:
        """Always, if no other layout does."""
        return Recognition(Sureness.FALLBACK, "has the folders of no known layout")

    def good_images(self, root: Path) -> Collection:
        """All images in it."""
        return collect_images(root)
