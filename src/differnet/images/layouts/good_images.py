"""The simplest layouts: images of good parts alone, named in a list or lying in a folder."""

from __future__ import annotations

from pathlib import Path

from differnet.errors import DatasetError
from differnet.images.collect import LIST_SUFFIX, Collection, collect_images
from differnet.images.layouts.annotations import check_annotations
from differnet.images.layouts.file_names import check_file_names
from differnet.images.layouts.labelled_folders import find_base
from differnet.images.layouts.layout import Layout, Recognition, Sureness
from differnet.images.layouts.names import Label, read_role
from differnet.images.layouts.tree import OTHER_SENSORS, Folder, read_tree

__all__ = ["ListLayout", "PlainLayout"]

_NAMED = 6


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
    """A single folder of good images, however deep it lies, or a single image.

    Several folders of images side by side may be cameras, kinds of defects or products: which are good, only their
    owner knows. Below a folder that is itself named as one of good parts, all are.
    """

    name = "plain folder"

    def recognises(self, root: Path) -> Recognition:
        """Always, if no other layout does."""
        return Recognition(Sureness.FALLBACK, "has the folders of no known layout")

    def good_images(self, root: Path) -> Collection:
        """All images in it.

        Raises:
            DatasetError: If there are none, or names or several folders leave it open which are good.
        """
        tree = read_tree(root)
        holding = [folder for folder in tree.walk() if folder.images]
        own = read_role(root.resolve().name)
        if holding and own.is_whole and own.label is Label.DEFECTIVE:
            raise DatasetError(
                f"{root}: its name says that it holds defective parts; give a folder of good parts, or say by --good "
                f"'*' that these are good."
            )
        is_named_good = own.is_whole and own.label is Label.GOOD
        if len(holding) > 1 and not is_named_good:
            raise _ambiguous(root, tree, holding)
        for folder in holding:
            check_file_names(folder, is_named_good=is_named_good)
        if not is_named_good:
            images = [image for folder in holding for image in folder.images]
            check_annotations(root, [folder.path for folder in tree.walk()], images)
        found = collect_images(root)
        masks = {mask for folder in holding for masks in folder.masks.values() for mask in masks}
        if masks:
            found.paths = [path for path in found.paths if path not in masks]
            found.set_aside.append(f"{len(masks)} mask(s) beside images")
        others = {*tree.of_other_sensors()}
        if others:
            found.paths = [path for path in found.paths if path not in others]
            found.set_aside.append(f"{len(others)} {OTHER_SENSORS}")
        return found


def _ambiguous(root: Path, tree: Folder, holding: list[Folder]) -> DatasetError:
    base = find_base(tree)
    products = [folder for folder in base.folders if _is_product(folder)]
    if len(products) > 1:
        names = ", ".join(folder.name for folder in products[:_NAMED]) + (", ..." if len(products) > _NAMED else "")
        return DatasetError(
            f"{root}: holds several products ({names}), each with folders of its own; give one of them, such as "
            f"{products[0].path}, or train each by 'differnet fleet train'. If they are one product, say where its "
            f"good parts are, by --good FOLDER or --good 'PATTERN'."
        )
    # Most show good parts, as a rule.
    first = max((folder for folder in holding if folder is not tree), key=lambda folder: len(folder.images))
    shown = [f"{_place(folder, root)} ({len(folder.images)})" for folder in holding[:_NAMED]]
    return DatasetError(
        f"{root}: images lie in {len(holding)} folders, and no name says which show good parts: {', '.join(shown)}"
        f"{', ...' if len(holding) > _NAMED else ''}. Say which to learn from, such as --good "
        f"'{first.path.relative_to(root).as_posix()}' (repeatable, patterns too), or --good '*' for all."
    )


def _place(folder: Folder, root: Path) -> str:
    relative = folder.path.relative_to(root).as_posix()
    return "the folder itself" if relative == "." else f"'{relative}'"


def _is_product(folder: Folder) -> bool:
    return any(inner.role.split is not None or inner.role.label is not None for inner in find_base(folder).folders)
