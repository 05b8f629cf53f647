"""Products told by the arguments of anomalib's ``Folder`` in a YAML file, as its own configuration has them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from differnet.errors import DatasetError
from differnet.files.yaml_text import load_yaml
from differnet.images.collect import Collection
from differnet.images.layouts.chosen import chosen_good_images, chosen_test_images
from differnet.images.layouts.layout import LabelledImage, Layout, Recognition, Sureness, by_kind, kept_for_testing
from differnet.images.layouts.tree import read_tree

__all__ = ["AnomalibFolderLayout"]

_SUFFIXES = frozenset({".yaml", ".yml"})
_FOLDER = "Folder"
# The last names are those of anomalib before version 1.
_NAMES = {
    "root": ("root", "path"),
    "normal_dir": ("normal_dir", "normal"),
    "abnormal_dir": ("abnormal_dir", "abnormal"),
    "normal_test_dir": ("normal_test_dir", "normal_test"),
    "mask_dir": ("mask_dir", "mask"),
    "extensions": ("extensions",),
}


class AnomalibFolderLayout(Layout):
    """A YAML file with ``data: {class_path: anomalib.data.Folder, init_args: {root, normal_dir, abnormal_dir, ...}}``.

    The arguments may also stand alone, or under ``dataset`` as before anomalib 1. A folder may be a list of folders or
    null, and counts from the root, which counts from the YAML file's folder or, where there is no such thing, from the
    working folder, as anomalib has it. Kinds of defects are the names of ``abnormal_dir``; masks are found by name.
    Without ``normal_test_dir`` a fifth of the good ones is kept for testing if there are defective ones. All other
    arguments, such as sizes of batches, are passed over.
    """

    name = "anomalib Folder"

    def recognises(self, root: Path) -> Recognition | None:
        """By its name."""
        if root.suffix.lower() in _SUFFIXES and root.is_file():
            return Recognition(Sureness.SURE, f"is a file '*{root.suffix.lower()}'")
        return None

    def good_images(self, root: Path) -> Collection:
        """Those of ``normal_dir``, but for what another argument names."""
        arguments = _read(root)
        found, kept = _good(root, arguments)
        if kept:
            found.set_aside.append(
                f"{len(kept)} of {len(found.paths)} good images, which are kept for 'differnet evaluate'"
            )
            found.paths = [path for path in found.paths if path not in kept]
        return found

    def test_images(self, root: Path) -> tuple[LabelledImage, ...]:
        """Those of ``normal_test_dir``, or the good ones kept for this, and of ``abnormal_dir``."""
        arguments = _read(root)
        if not arguments.abnormal:
            raise DatasetError(
                f"{root}: names no 'abnormal_dir'; evaluation needs good and defective images. Good ones alone are "
                f"named by --good."
            )
        good = arguments.normal_test or tuple(sorted(_good(root, arguments)[1]))
        if not good:
            raise DatasetError(f"{root}: its 'normal_dir' has too few images to keep some for testing; add some.")
        return _tests(root, arguments, good)


@dataclass(frozen=True)
class _Arguments:
    """Folders, all of which are there."""

    root: Path
    normal: tuple[Path, ...]
    abnormal: tuple[Path, ...]
    normal_test: tuple[Path, ...]
    masks: tuple[Path, ...]
    extensions: frozenset[str]

    def takes(self, image: Path) -> bool:
        return not self.extensions or image.suffix.lower() in self.extensions


def _good(file: Path, arguments: _Arguments) -> tuple[Collection, frozenset[Path]]:
    """The good images that are not named otherwise too, and which of them are kept for testing."""
    found = chosen_good_images(arguments.root, arguments.normal)
    others = {
        image
        for folder in (*arguments.abnormal, *arguments.normal_test, *arguments.masks)
        for image in read_tree(folder).all_images()
    }
    for words, left_out in (
        ("image(s) that another argument names", others),
        ("image(s) of other extensions", {path for path in found.paths if not arguments.takes(path)} - others),
    ):
        count = len(left_out.intersection(found.paths))
        if count:
            found.set_aside.append(f"{count} {words}")
            found.paths = [path for path in found.paths if path not in left_out]
    if not found.paths:
        raise DatasetError(
            f"{file}: 'normal_dir' holds no image of its own; name folders that 'normal_test_dir', 'abnormal_dir' and "
            f"'mask_dir' do not name too, and extensions that its files have."
        )
    if arguments.normal_test or not arguments.abnormal:
        return found, frozenset()
    base = Path(os.path.commonpath([path.parent for path in found.paths]))
    return found, kept_for_testing(found.paths, base)


def _tests(file: Path, arguments: _Arguments, good: Sequence[Path]) -> tuple[LabelledImage, ...]:
    masks = {image for folder in arguments.masks for image in read_tree(folder).all_images()}
    pairs = [(arguments.abnormal, arguments.masks)]
    if len(arguments.masks) == len(arguments.abnormal):
        # Each has its own, in which names may be those of another's.
        pairs = [((folder,), (own,)) for folder, own in zip(arguments.abnormal, arguments.masks, strict=True)]
    tested = {image.path: image for image in chosen_test_images(arguments.root, good, ())}
    for folders, own in pairs:
        for image in chosen_test_images(arguments.root, (), folders, own):
            if image.path in tested and not tested[image.path].is_defective:
                raise DatasetError(f"{image.path}: is named as good and as defective in {file}; name each image once.")
            tested[image.path] = image
    wanted = by_kind(image for image in tested.values() if arguments.takes(image.path) and image.path not in masks)
    if {image.is_defective for image in wanted} != {False, True}:
        what = "good" if any(image.is_defective for image in wanted) else "defective"
        raise DatasetError(f"{file}: no {what} image to test with has one of its 'extensions'; correct them.")
    return wanted


def _read(file: Path) -> _Arguments:
    given = _arguments_of(file, _load(file))
    values = {
        name: next((given[alias] for alias in aliases if given.get(alias) not in (None, "")), None)
        for name, aliases in _NAMES.items()
    }
    texts = {name: _texts(file, name, value) for name, value in values.items()}
    if not texts["normal_dir"]:
        raise DatasetError(f"{file}: names no 'normal_dir'; say there in which folder good parts are.")
    # Without a root the folders count from where the file lies.
    root = _located(file, "root", (file.parent, Path()), next(iter(texts["root"]), "."))

    def folders(name: str) -> tuple[Path, ...]:
        return tuple(_located(file, name, (root,), text) for text in texts[name])

    return _Arguments(
        root,
        normal=folders("normal_dir"),
        abnormal=folders("abnormal_dir"),
        normal_test=folders("normal_test_dir"),
        masks=folders("mask_dir"),
        extensions=frozenset(f".{text.lower().lstrip('*').lstrip('.')}" for text in texts["extensions"]),
    )


def _load(file: Path) -> Mapping[Any, Any]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read ({error.strerror}); make it readable.") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{file}: is not a UTF-8 text file; save it as such.") from None
    fields = load_yaml(text, file, DatasetError)
    if not isinstance(fields, dict):
        raise DatasetError(f"{file}: has no keys; give the arguments of anomalib's Folder, such as 'normal_dir'.")
    return fields


def _arguments_of(file: Path, fields: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The arguments of the class, wherever they stand."""
    for place in _places(fields):
        class_path = place.get("class_path", place.get("format"))
        if isinstance(class_path, str):
            kind = class_path.rpartition(".")[2]
            if kind.casefold() != _FOLDER.casefold():
                raise DatasetError(
                    f"{file}: is of anomalib's {kind[:40]}, and only its Folder can be read; give the folder of the "
                    f"product instead."
                )
            inner = place.get("init_args")
            return inner if isinstance(inner, dict) else place
        if any(alias in place for alias in _NAMES["normal_dir"]):
            return place
    if "images" in fields:
        raise DatasetError(f"{file}: looks like a recipe; give it by --recipe.")
    raise DatasetError(
        f"{file}: has no arguments of anomalib's Folder; write 'root', 'normal_dir' and, if known, 'abnormal_dir', "
        f"'normal_test_dir' and 'mask_dir'."
    )


def _places(fields: Mapping[Any, Any]) -> Iterator[Mapping[Any, Any]]:
    inner = [fields.get(name) for name in ("data", "dataset", "datamodule", "init_args")]
    yield from (place for place in (*inner, fields) if isinstance(place, dict))


def _texts(file: Path, name: str, value: object) -> tuple[str, ...]:
    values = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
    if (name == "root" and len(values) > 1) or not all(isinstance(each, str) and each for each in values):
        what = "one folder" if name == "root" else "a text or a list of texts"
        raise DatasetError(f"{file}: '{name}' is not {what}; write it so, in quotes where it looks like a number.")
    return tuple(dict.fromkeys(values))


def _located(file: Path, name: str, bases: Iterable[Path], text: str) -> Path:
    for base in bases:
        folder = base / text.replace("\\", "/")
        try:
            if folder.is_dir():
                return folder
        except OSError:  # too long
            continue
    raise DatasetError(f"{file}: '{name}' names the folder {text[:200]!r}, which is not there; correct it.")
