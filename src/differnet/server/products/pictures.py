"""Good pictures as files: originals under their SHA-256, and a small one of each."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from differnet.errors import DifferNetError, OutputError
from differnet.images import TrainingLook, load_image
from differnet.server.inspecting.decoding import Decoding, content_cost, decode_upload, known_media_type
from differnet.server.inspecting.jobs import Upload
from differnet.server.limits import Limits
from differnet.server.problems import Problem
from differnet.server.products.catalogue import Catalogue, Row
from differnet.server.storage.files import PART_SUFFIX, store_file
from differnet.server.wire.pictures import png, reduced, small_jpeg

__all__ = ["MEDIA_TYPES", "SUFFIXES", "PictureStore"]

SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/bmp": ".bmp",
    "image/tiff": ".tif",
    "image/webp": ".webp",
}
MEDIA_TYPES = {suffix: kind for kind, suffix in SUFFIXES.items()}
# All are compared with each other, and shown on one page.
_MOST_PICTURES = 5000
# For comparing them with each other, without loss: what copies agree in is fine grain.
_COMPARED_SIDE = 128


class PictureStore:
    """The pictures of all products, in a folder for each.

    Args:
        root: Folder of the products.
        catalogue: Where they are written down.
        limits: Of an image.
        decoding: Memory for decoded images.

    Raises:
        OutputError: If the folder cannot be made.
    """

    def __init__(self, root: Path, catalogue: Catalogue, limits: Limits, decoding: Decoding) -> None:
        self._root, self._catalogue, self._limits, self._decoding = root, catalogue, limits, decoding
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{root}: cannot be made ({error.strerror}); choose another data folder.") from None

    def folder(self, product: str) -> Path:
        """All that belongs to a product."""
        return self._root / product

    def file(self, row: Row) -> Path:
        """The original of a picture."""
        return self.folder(row["product"]) / "pictures" / f"{row['sha256']}{row['suffix']}"

    def add(
        self, product: str, uploads: Sequence[Upload], key: str | None, *, noted: bool = True
    ) -> list[Row | Problem]:
        """Keep pictures; one that is there already is no second one.

        Args:
            product: Id.
            uploads: The files.
            key: Who brings them.
            noted: Whether it is written down who did; work that brings many notes its own end.

        Returns:
            In their order, each as it is kept, or why it is not.

        Raises:
            Problem: 404 if there is no such product, 409 if it has too many pictures.
        """
        known = {row["sha256"] for row in self._catalogue.pictures(product)}
        kept = [self._kept(product, upload) for upload in uploads]
        rows = [row for row in kept if not isinstance(row, Problem)]
        fresh = {row["sha256"]: row for row in rows if row["sha256"] not in known}
        try:
            self._catalogue.add_pictures(product, list(fresh.values()), key, _MOST_PICTURES, noted=noted)
        except Problem:
            for row in fresh.values():
                self._remove({**row, "product": product})
            raise
        found = {row["sha256"]: row for row in self._catalogue.pictures(product)} if rows else {}
        return [
            row if isinstance(row, Problem) else {**found[row["sha256"]], "known": row["sha256"] in known}
            for row in kept
        ]

    def remove(self, product: str, sha256: str, key: str | None) -> None:
        """Remove a picture for good.

        Raises:
            Problem: 404 if there is none, 409 while a job of the product is not over.
        """
        row = self._catalogue.picture(product, sha256)
        self._catalogue.remove_picture(product, sha256, key)
        self._remove(row)

    def remove_all(self, product: str) -> None:
        """Remove the folder of a product."""
        shutil.rmtree(self.folder(product), ignore_errors=True)

    def sweep(self, products: set[str]) -> None:
        """Remove what a killed process left: unfinished files, and folders of products that are gone."""
        for folder in list(self._root.iterdir()):
            if folder.is_dir() and folder.name not in products:
                shutil.rmtree(folder, ignore_errors=True)
        for part in list(self._root.rglob(f"*{PART_SUFFIX}")):
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def original(self, row: Row, *, display: bool) -> tuple[Path | bytes, str]:
        """A picture and its media type; with ``display`` what browsers do not show comes as PNG.

        Raises:
            Problem: 410 if its file is gone.
        """
        file, kind = self.file(row), MEDIA_TYPES[row["suffix"]]
        if not file.is_file():
            raise _gone()
        if not display or kind in ("image/jpeg", "image/webp", "image/bmp"):
            return file, kind
        content = file.read_bytes()
        if kind == "image/png" and content[24:25] != b"\x10":  # of 16 bits browsers take the high byte
            return file, kind
        with self._decoding.hold(content_cost(content), self._limits.seconds):
            return png(decode_upload(content, self._limits.pixels, TrainingLook([content]).scale).pixels), "image/png"

    def thumbnail(self, row: Row) -> Path:
        """A small JPEG of a picture.

        Raises:
            Problem: 410 if its file is gone.
        """
        file = self._preview(row["product"], row["sha256"])
        if not file.is_file():
            raise _gone()
        return file

    def small(self, rows: Sequence[Row]) -> Iterator[NDArray[np.uint8] | None]:
        """The small versions of pictures, one after the other; None for one that cannot be read."""
        for row in rows:
            try:
                yield load_image(self._compared(row["product"], row["sha256"]))
            except (DifferNetError, OSError):
                yield None

    def _kept(self, product: str, upload: Upload) -> Row | Problem:
        content = upload.content
        try:
            kind = known_media_type(content)
            with self._decoding.hold(content_cost(content), self._limits.seconds):
                pixels = decode_upload(content, self._limits.pixels, TrainingLook([content]).scale).pixels
                preview, compared = small_jpeg(pixels), png(reduced(pixels, _COMPARED_SIDE))
        except Problem as problem:
            return problem
        row: dict[str, Any] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "suffix": SUFFIXES[kind],
            "filename": upload.filename,
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            "bytes": len(content),
        }
        try:
            store_file(self._preview(product, row["sha256"]), preview)
            store_file(self._compared(product, row["sha256"]), compared)
            store_file(self.file({**row, "product": product}), content)
        except OSError as error:
            return Problem(507, f"The picture cannot be kept ({error.strerror or error}); free space on the disk.")
        return row

    def _preview(self, product: str, sha256: str) -> Path:
        return self.folder(product) / "previews" / f"{sha256}.jpg"

    def _compared(self, product: str, sha256: str) -> Path:
        return self.folder(product) / "compared" / f"{sha256}.png"

    def _remove(self, row: Row) -> None:
        here = row["product"], row["sha256"]
        for file in (self.file(row), self._preview(*here), self._compared(*here)):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)


def _gone() -> Problem:
    return Problem(410, "The picture's file is no longer there; remove the picture, and add it again if you have it.")
