"""Thumbnails, heat maps and regions of recorded inspections: made when first asked for, then kept."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from PIL import Image

from differnet.errors import DifferNetError
from differnet.images import PixelScale, load_image
from differnet.images.failure import Failure
from differnet.server.inspecting.batching import Batcher
from differnet.server.inspecting.decoding import Decoding, decoded_bytes
from differnet.server.inspecting.model_repository import Served, Shelf
from differnet.server.metrics import Metrics
from differnet.server.problems import Problem
from differnet.server.storage.database import Database, images
from differnet.server.storage.files import FileStore
from differnet.server.storage.records import Row
from differnet.server.wire.pictures import explanation_pair, png, small_jpeg

__all__ = ["Explainer"]

_log = logging.getLogger(__name__)

_THUMBNAIL = "thumbnail.jpg"
# Each request that waits for a picture takes a thread, of which there are 40 for all requests.
_MOST_WAITING = 16
# For room to decode an image: while somebody waits, and for a heat map, which is made all the same.
_ROOM_SECONDS, _HEAT_ROOM_SECONDS = 20.0, 60.0
# What is made of an image takes at its most, for each pixel, beside decoding it.
_HEAT, _OVERLAY, _ENCODED = 8, 8, 5
_STRIP_PIXELS = 4_000_000
# What every browser shows as it is.
_SHOWN_AS_IT_IS = ("image/png", "image/jpeg", "image/webp", "image/bmp")


class Explainer:
    """Pictures of an inspection.

    Args:
        database: Where the size of what is kept is written down.
        files: Where originals are, and what is derived from them.
        shelf: The models.
        batcher: Computes heat maps between inspections.
        metrics: Counts.
        decoding: Memory for decoded images.
        seconds: To wait for a heat map; it is made all the same, and is there when it is asked for again.
    """

    def __init__(
        self,
        database: Database,
        files: FileStore,
        shelf: Shelf,
        batcher: Batcher,
        metrics: Metrics,
        *,
        decoding: Decoding,
        seconds: float,
    ) -> None:
        self._database, self._files, self._shelf = database, files, shelf
        self._batcher, self._metrics, self._decoding, self._seconds = batcher, metrics, decoding, seconds
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(_MOST_WAITING)
        self._running: dict[tuple[str, str], Future[tuple[bytes, bytes]]] = {}

    def original(self, row: Row, *, display: bool = False) -> tuple[Path | bytes, str]:
        """The file of the image as it came, or a picture of it, and its media type.

        Args:
            row: Of the inspection.
            display: Turn what browsers do not show, such as TIFF, into PNG.

        Raises:
            Problem: 410 if it was removed, 503 if there is no room to decode it.
        """
        file = self._file(row)
        scale = self._scale(row)
        # Browsers take the high byte of 16 bits, in which images of 10 or 12 are dark.
        is_shown = row["media_type"] in _SHOWN_AS_IT_IS and (scale is None or scale.integer is None)
        if not display or is_shown:
            return file, str(row["media_type"])
        with self._room_to_decode(row, _ENCODED):
            return png(_decode(self._content(row), scale)), "image/png"

    def thumbnail(self, row: Row) -> bytes:
        """A small JPEG.

        Raises:
            Problem: 410 if the image was removed, 503 if there is no room to decode it.
        """
        sha256 = str(row["sha256"])
        kept = self._read(sha256, _THUMBNAIL)
        if kept is not None:
            return kept
        with self._room_to_decode(row, 0):
            pixels = _decode(self._content(row), self._scale(row))
            made = small_jpeg(pixels)
        self._keep(sha256, _THUMBNAIL, made)
        return made

    def heat_layer(self, row: Row) -> bytes:
        """The heat map as RGBA PNG in the image's size.

        Raises:
            Problem: 410 if the image was removed, 409 if the model that inspected it is no longer there, 503 if it
                takes long.
        """
        return self._explained(row)[0]

    def overlay(self, row: Row) -> bytes:
        """The image with its heat map over it, as PNG.

        Raises:
            Problem: As for `heat_layer`.
        """
        layer_file = self.heat_layer(row)
        with self._room_to_decode(row, _OVERLAY):
            layer = Image.open(io.BytesIO(layer_file))
            pixels = _decode(self._content(row), self._scale(row)).copy()
            rows = max(1, _STRIP_PIXELS // pixels.shape[1])
            for top in range(0, len(pixels), rows):  # Pillow takes four times the memory for what is between
                strip = pixels[top : top + rows]
                picture = Image.fromarray(strip).convert("RGBA")
                picture.alpha_composite(layer.crop((0, top, strip.shape[1], top + len(strip))))
                strip[:] = np.asarray(picture.convert("RGB"))
            return png(pixels)

    def explanation(self, row: Row) -> dict[str, Any]:
        """Regions and scale of the heat map.

        Raises:
            Problem: As for `heat_layer`.
        """
        found: dict[str, Any] = json.loads(self._explained(row)[1])
        return found

    def _explained(self, row: Row) -> tuple[bytes, bytes]:
        """Heat layer and explanation, by the model as it is calibrated now."""
        sha256 = str(row["sha256"])
        served = self._model(row)
        if served is None:
            return self._explained_before(row)
        stem = f"{served.model_id}-{served.calibration_id}"
        kept = self._read_pair(sha256, stem)
        if kept is None:
            with self._turn():
                return self._compute_once(row, served, stem)
        return kept

    def _explained_before(self, row: Row) -> tuple[bytes, bytes]:
        """What was kept while the model was still there."""
        sha256 = str(row["sha256"])
        folder = self._files.derived(sha256, "")
        stems = [path.stem for path in folder.glob(f"{row['model_id']}-*.json")] if folder.is_dir() else []
        for stem in sorted(stems, key=lambda stem: (folder / f"{stem}.json").stat().st_mtime, reverse=True):
            kept = self._read_pair(sha256, stem)
            if kept is not None:
                return kept
        raise Problem(409, "The model that inspected this image is no longer there, so its heat map cannot be made.")

    def _model(self, row: Row) -> Served | None:
        """The model that gave the verdict, under its name or, renamed, under another."""
        places = [place for place in self._shelf.places().values() if place.served is not None]
        found = [place.served for place in places if place.served and place.served.model_id == row["model_id"]]
        return next((served for served in found if served.name == row["model"]), found[0] if found else None)

    def _scale(self, row: Row) -> PixelScale | None:
        served = self._model(row)
        return None if served is None else served.model.pixel_scale

    def _compute_once(self, row: Row, served: Served, stem: str) -> tuple[bytes, bytes]:
        """Compute, or wait for the one who is computing the same."""
        sha256 = str(row["sha256"])
        self._file(row)
        with self._lock:
            future = self._running.get((sha256, stem))
            if future is None:
                future = self._batcher.run(lambda: self._compute(row, served, stem))
                self._running[sha256, stem] = future
                future.add_done_callback(lambda _: self._forget(sha256, stem))
        try:
            return future.result(self._seconds)
        except FutureTimeoutError:
            raise Problem(
                503, "The heat map takes long, the service is busy; try again in a moment.", retry_after=10
            ) from None

    def _forget(self, sha256: str, stem: str) -> None:
        self._running.pop((sha256, stem), None)

    def _compute(self, row: Row, served: Served, stem: str) -> tuple[bytes, bytes]:
        sha256 = str(row["sha256"])
        with self._decoding.hold(self._cost(row, _HEAT), _HEAT_ROOM_SECONDS):
            result = next(iter(served.model.explain_stream([self._content(row)])))
            if isinstance(result, Failure):
                raise Problem(409, f"The heat map cannot be made: {result.reason}")
            self._metrics.explanations.inc()
            layer, about = explanation_pair(result)
            del result
        found = layer, json.dumps(about).encode()
        for kind, content in zip(("png", "json"), found, strict=True):
            self._keep(sha256, f"{stem}.{kind}", content)
        return found

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """A place among those that wait for pictures."""
        if not self._room.acquire(blocking=False):
            raise Problem(503, "Many pictures are being made already; try again in a moment.", retry_after=2)
        try:
            yield
        finally:
            self._room.release()

    @contextmanager
    def _room_to_decode(self, row: Row, beside: int) -> Iterator[None]:
        with self._turn(), self._decoding.hold(self._cost(row, beside), _ROOM_SECONDS):
            yield

    def _cost(self, row: Row, beside: int) -> int:
        """What decoding an image takes, and so many bytes for each pixel."""
        pixels = int(row["width"]) * int(row["height"])
        try:
            with self._file(row).open("rb") as file:
                head = file.read(32)
        except OSError:
            head = b""
        return decoded_bytes(pixels, head) + pixels * beside

    def _file(self, row: Row) -> Path:
        file = self._files.image(str(row["sha256"]))
        if row["removed_at"] is None and file.is_file():
            return file
        raise _removed()

    def _content(self, row: Row) -> bytes:
        try:
            return self._file(row).read_bytes()
        except FileNotFoundError:
            raise _removed() from None

    def _read(self, sha256: str, name: str) -> bytes | None:
        try:
            return self._files.derived(sha256, name).read_bytes()
        except OSError:  # not there, or not to be read: it is made anew
            return None

    def _read_pair(self, sha256: str, stem: str) -> tuple[bytes, bytes] | None:
        layer, about = self._read(sha256, f"{stem}.png"), self._read(sha256, f"{stem}.json")
        return None if layer is None or about is None else (layer, about)

    def _keep(self, sha256: str, name: str, content: bytes) -> None:
        """Keep what was made, if that can be: with a full disk it is made anew each time."""
        try:
            self._files.store_derived(sha256, name, content)
            with self._database.writing() as connection:
                connection.execute(
                    sa.update(images)
                    .where(images.c.sha256 == sha256)
                    .values(derived_bytes=images.c.derived_bytes + len(content))
                )
        except (OSError, Problem) as error:
            _log.warning("a picture could not be kept", extra={"reason": str(error)})


def _removed() -> Problem:
    return Problem(410, "The image was removed to save space; its verdict is still recorded.")


def _decode(content: bytes, scale: PixelScale | None) -> NDArray[np.uint8]:
    try:
        return load_image(content, scale=scale)
    except DifferNetError as error:
        raise Problem(410, f"The stored image cannot be read: {error}") from None
