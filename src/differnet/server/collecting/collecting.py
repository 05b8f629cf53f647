"""Taking good pictures of products from cameras and folders, one by one or over hours."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from differnet.cameras import Frame
from differnet.errors import CameraError, DatasetError, DifferNetError
from differnet.files import replacing
from differnet.images import as_rgb, collect_images
from differnet.server.collecting.live_camera import LiveCamera
from differnet.server.collecting.sources import Sources
from differnet.server.inspecting.jobs import Upload
from differnet.server.limits import Limits
from differnet.server.problems import Problem
from differnet.server.products.catalogue import Catalogue, Row
from differnet.server.products.pictures import PictureStore
from differnet.server.wire.pictures import reduced

__all__ = ["Collecting", "Collection"]

_log = logging.getLogger(__name__)

_PREVIEW_SIDE, _PREVIEW_QUALITY = 960, 80
_FRAME_SECONDS = 8.0
"""That a camera may take to be opened and give a frame."""

_LOOK_SECONDS = 1.0
_SETTLED_SECONDS = 1.0
"""Since the last write of a file that is taken for whole."""

_END_SECONDS = 15.0
_NICENESS = 15
_KEPT = "collection.json"


@dataclass
class Collection:
    """Pictures that are taken one after the other, in the background.

    Attributes:
        product: Id.
        kind: ``camera`` or ``folder``.
        source: Its name.
        every: Seconds between two pictures of a camera.
        until: So many are added; None for all that a folder has now.
        key: Who began it.
        state: ``running``, ``done``, ``stopped`` or ``failed``.
        added: Pictures that are new.
        known: That the product had already.
        refused: That could not be used.
        said: What went wrong last, or why it ended.
    """

    product: str
    kind: str
    source: str
    every: float | None
    until: int | None
    key: str | None
    state: str = "running"
    added: int = 0
    known: int = 0
    refused: int = 0
    said: str | None = None

    @property
    def is_full(self) -> bool:
        """Whether there are as many as were wanted."""
        return self.until is not None and self.added >= self.until


class Collecting:
    """Takes pictures from what `Sources` allows.

    Args:
        sources: Cameras and folders by name.
        store: Of pictures.
        catalogue: Of products.
        limits: Of an image.
    """

    def __init__(self, sources: Sources, store: PictureStore, catalogue: Catalogue, limits: Limits) -> None:
        self._folders = dict(sources.folders)
        self._store, self._catalogue, self._limits = store, catalogue, limits
        self._cameras = {name: LiveCamera(name, source) for name, source in sources.cameras.items()}
        self._lock = threading.Lock()
        self._collections: dict[str, Collection] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._ends: dict[str, threading.Event] = {}
        self._closing = False

    @property
    def names(self) -> dict[str, list[str]]:
        """What there is: ``cameras`` and ``folders``."""
        return {"cameras": sorted(self._cameras), "folders": sorted(self._folders)}

    def start(self) -> None:
        """Go on with what was under way when the service ended."""
        for row in self._catalogue.all():
            with contextlib.suppress(OSError, ValueError, TypeError):
                found = Collection(**json.loads(self._file(row["id"]).read_text(encoding="utf-8")))
                if found.source in (self._cameras if found.kind == "camera" else self._folders):
                    self._run(found)

    def stop(self) -> None:
        """End; what is under way goes on at the next start."""
        with self._lock:
            self._closing = True
            threads = list(self._threads.values())
            for end in self._ends.values():
                end.set()
        for camera in self._cameras.values():
            camera.stop()
        for thread in threads:
            thread.join(_END_SECONDS)

    def preview(self, name: str) -> bytes:
        """The last frame of a camera as a JPEG of at most 960 pixels.

        Raises:
            Problem: 404 if there is no such camera, 503 if it gives none.
        """
        camera = self._camera(name)
        return camera.made("preview", camera.latest(_FRAME_SECONDS), _preview)

    def turn(self, name: str) -> AbstractContextManager[None]:
        """See `LiveCamera.turn`.

        Raises:
            Problem: 404 if there is no such camera, 503 if many of its frames are being inspected.
        """
        return self._camera(name).turn()

    def frame(self, name: str) -> Upload:
        """The next frame of a camera, without loss.

        Raises:
            Problem: 404 if there is no such camera, 503 if it gives none.
        """
        camera = self._camera(name)
        return _upload(camera, camera.next(_FRAME_SECONDS))

    def take(self, product: str, name: str, key: str | None) -> tuple[Row | Problem, str]:
        """Add the next frame of a camera to a product.

        Returns:
            What became of it, and what it is called.

        Raises:
            Problem: 404 if there is no such camera or product, 503 if it gives no frame, 409 if the product is full.
        """
        camera = self._camera(name)
        self._catalogue.get(product)
        upload = _upload(camera, camera.next(_FRAME_SECONDS))
        [kept] = self._store.add(product, [upload], key)
        return kept, str(upload.filename)

    def begin(self, wanted: Collection) -> None:
        """Take pictures in the background.

        Raises:
            Problem: 404 if there is no such source or product, 409 if some are being taken already.
        """
        row = self._catalogue.get(wanted.product)
        if wanted.kind == "camera":
            self._camera(wanted.source)
        elif wanted.source not in self._folders:
            raise Problem(404, f"There is no folder '{wanted.source}'; GET /v1/sources lists those there are.")
        about = {name: getattr(wanted, name) for name in ("source", "every", "until")}
        self._run(wanted, lambda: self._catalogue.note(row, "collect", wanted.key, about))

    def end(self, product: str) -> None:
        """Take no more.

        Raises:
            Problem: 409 if none are being taken.
        """
        with self._lock:
            thread, end = self._threads.get(product), self._ends.get(product)
            if thread is None or end is None:
                raise Problem(409, "No pictures are being taken.")
            self._collections[product].state = "stopped"
        end.set()
        thread.join(_END_SECONDS)

    def of(self, product: str) -> Collection | None:
        """The last collection of a product."""
        return self._collections.get(product)

    def is_running(self, product: str) -> bool:
        """Whether pictures are being taken for a product."""
        return product in self._threads

    def _camera(self, name: str) -> LiveCamera:
        if name not in self._cameras:
            raise Problem(404, f"There is no camera '{name}'; GET /v1/sources lists those there are.")
        return self._cameras[name]

    def _file(self, product: str) -> Path:
        return self._store.folder(product) / _KEPT

    def _run(self, collection: Collection, noting: Callable[[], object] = lambda: None) -> None:
        product = collection.product
        with self._lock:
            if product in self._threads or self._closing:
                raise Problem(409, "Pictures of this product are being taken already; stop that first.")
            end = threading.Event()
            thread = threading.Thread(target=self._collect, args=(collection, end), name="collecting", daemon=True)
            self._collections[product], self._threads[product], self._ends[product] = collection, thread, end
        try:
            self._keep(collection)
            noting()
        finally:
            thread.start()

    def _keep(self, collection: Collection) -> None:
        """So that it is gone on with after a restart."""
        try:
            self._file(collection.product).parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._file(collection.product)) as part:
                part.write_text(json.dumps(asdict(collection)), encoding="utf-8")
        except OSError as error:
            _log.warning("a collection cannot be kept", extra={"reason": str(error)})

    def _collect(self, collection: Collection, end: threading.Event) -> None:
        _give_way()
        state = "failed"
        try:
            (self._from_camera if collection.kind == "camera" else self._from_folder)(collection, end)
            # Ended without a word: the service ends, and the collection goes on at the next start.
            state = "done" if collection.state == "running" and not end.is_set() else collection.state
        except DifferNetError as error:
            collection.said = str(error)
        except Exception:
            _log.exception("collecting failed")
            collection.said = "It failed; see the service's log."
        finally:
            self._over(collection, state)

    def _over(self, collection: Collection, state: str) -> None:
        if state == "running":
            self._keep(collection)
        else:
            with contextlib.suppress(OSError):
                self._file(collection.product).unlink(missing_ok=True)
            if collection.added:
                about = {"pictures": collection.added, "source": collection.source}
                with contextlib.suppress(Problem):
                    self._catalogue.note(self._catalogue.get(collection.product), "collected", collection.key, about)
        # Last, so that whoever sees the end finds all that belongs to it.
        with self._lock:
            self._threads.pop(collection.product, None)
            self._ends.pop(collection.product, None)
            collection.state = state

    def _from_camera(self, collection: Collection, end: threading.Event) -> None:
        live, every = self._cameras[collection.source], collection.every or 1.0
        if live.camera().recording is not None:
            for frame in _of_recording(live, every):
                if end.is_set() or collection.is_full:
                    return
                self._add(collection, _upload(live, frame))
            return
        due = time.monotonic()
        while not collection.is_full and not end.wait(max(0.0, due - time.monotonic())):
            try:
                frame = live.next(_FRAME_SECONDS, idle=every)
            except Problem as problem:
                collection.said = problem.detail
                end.wait(_LOOK_SECONDS)
                continue
            self._add(collection, _upload(live, frame))
            due = max(due + every, time.monotonic())

    def _from_folder(self, collection: Collection, end: threading.Event) -> None:
        root = self._folders[collection.source].resolve()
        seen: set[tuple[Path, int, int]] = set()
        while True:
            unsettled = False
            for path, stamp in _files(root):
                if end.is_set() or collection.is_full:
                    return
                if stamp in seen:
                    continue
                if time.time() - stamp[1] / 1e9 < _SETTLED_SECONDS:
                    unsettled = True
                    continue
                seen.add(stamp)
                self._add(collection, self._read(path))
            if collection.until is None and not unsettled:
                return
            if end.wait(_LOOK_SECONDS):
                return

    def _read(self, path: Path) -> Upload | Problem:
        most = self._limits.image_bytes
        try:
            with path.open("rb") as stream:
                content = stream.read(most + 1)
        except OSError as error:
            return Problem(422, f"{path.name}: cannot be read ({error.strerror}); make it readable.")
        if len(content) > most:
            return Problem(413, f"{path.name}: has more than the {most / (1 << 20):g} MiB that an image may have.")
        return Upload(content, path.name)

    def _add(self, collection: Collection, upload: Upload | Problem) -> None:
        if isinstance(upload, Problem):
            kept: Row | Problem = upload
        else:
            [kept] = self._store.add(collection.product, [upload], collection.key, noted=False)
        if isinstance(kept, Problem):
            collection.refused += 1
            name = "" if isinstance(upload, Problem) else f"{upload.filename}: "
            collection.said = f"{name}{kept.detail}"
        elif kept["known"]:
            collection.known += 1
        else:
            collection.added += 1


def _of_recording(live: LiveCamera, every: float) -> Iterator[Frame]:
    """From its beginning, by its own clock, as `differnet watch --every` takes them."""
    camera, due = live.camera(), -float("inf")
    try:
        with camera:
            for frame in iter(camera.read, None):
                if frame.seconds >= due:
                    due = every * (frame.seconds // every + 1)
                    yield frame
    except CameraError as error:
        raise Problem(503, live.trouble(error, camera)) from None


def _files(root: Path) -> Iterator[tuple[Path, tuple[Path, int, int]]]:
    """Images below a folder, without those that a link leads out of it; with what tells each from another."""
    with contextlib.suppress(DatasetError):  # none yet
        for path in collect_images(root).paths:
            with contextlib.suppress(OSError):
                real = path.resolve()
                if real.is_relative_to(root) and real.is_file():
                    status = real.stat()
                    yield path, (path, status.st_mtime_ns, status.st_size)


def _upload(camera: LiveCamera, frame: Frame) -> Upload:
    """A frame as a PNG, without loss."""
    when = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    told = when if frame.number is None else f"{frame.number:06}"
    return Upload(camera.made("whole", frame, _whole), f"{camera.name} {told}.png")


def _whole(frame: Frame) -> bytes:
    pixels: NDArray[Any] = np.ascontiguousarray(frame.pixels)
    return bytes(cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels)[1])


def _preview(frame: Frame) -> bytes:
    pixels = reduced(as_rgb(frame.pixels), _PREVIEW_SIDE)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _PREVIEW_QUALITY]
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)[1])


def _give_way() -> None:
    """Let inspections go first: of this thread alone, where the system knows such a thing."""
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
