"""The folder of model files: what is in it is served, changes are taken up while the service runs."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from differnet.detector import DifferNet
from differnet.errors import DifferNetError, ModelFileError, SettingsError
from differnet.files import replacing
from differnet.images.failure import Failure
from differnet.model_file.signing import TrustedKeys
from differnet.server.problems import Problem
from differnet.server.storage.database import now

__all__ = ["Place", "Served", "Shelf", "calibration_id"]

_log = logging.getLogger(__name__)

_SUFFIX = ".safetensors"
_REPORT_SUFFIXES = (".html", ".report.html")
_Stamp = tuple[int, int, int]
_NO_STAMP: _Stamp = (0, 0, 0)
# Of reading a model, and making it ready; an old machine under load takes half a minute.
_LOAD_SECONDS = 120.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True, eq=False)
class Served:
    """A model in service; it is replaced as a whole, never changed.

    Attributes:
        name: The file's name without its ending.
        model: Ready to inspect.
        file: Where it was read from.
        loaded_at: When.
        model_id: As in its verdicts.
        calibration_id: Tells calibrations of this model apart, 8 hexadecimal digits.
    """

    name: str
    model: DifferNet
    file: Path
    loaded_at: datetime
    model_id: str
    calibration_id: str


@dataclass(frozen=True, eq=False)
class Place:
    """What the shelf has under a name.

    Attributes:
        file: The model file.
        served: What is served, None if the file never could be read.
        error: Why the file as it is now cannot be read, None if it could.
        stamp: By which a change of the file is seen.
        report: The report beside the file, as of the last look.
    """

    file: Path
    served: Served | None
    error: str | None
    stamp: _Stamp
    report: Path | None = None

    @property
    def token(self) -> str | None:
        """Tells what is served from everything else that could be; None while nothing is."""
        return None if self.served is None else f"{self.served.model_id}-{self.served.calibration_id}"


class Shelf:
    """Watches a folder of model files.

    A new or changed file is loaded once it has stood still for an interval, so that one that is being copied is not
    read by halves. A file that cannot be read is reported, and what was served under its name goes on being served.
    Each is loaded in a thread of its own, which is waited for only so long: a drive that does not answer holds up one
    model, not the others and no request.

    Args:
        folder: Its ``*.safetensors`` files are served under their names.
        device: ``auto``, ``cpu``, ``cuda``.
        weights: See `DifferNet`.
        interval: Seconds between two looks.
        trusted: Keys of which one must have signed a model; None takes any.
        load_seconds: After which the shelf goes on without a model, and takes it up when it is there after all.
        changed: Called after every change, from the shelf's own thread.

    Raises:
        SettingsError: If there is no such folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "auto",
        weights: str | None = None,
        interval: float = 1.0,
        trusted: TrustedKeys | None = None,
        load_seconds: float = _LOAD_SECONDS,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        if not folder.is_dir():
            raise SettingsError(f"{folder}: no such folder; give the folder that holds the model files.")
        self.folder = folder
        self.scanned = threading.Event()
        self._device, self._weights, self._trusted = device, weights, trusted
        self._interval, self._load_seconds = interval, load_seconds
        self._changed = changed
        self._loads: dict[tuple[str, _Stamp], Future[DifferNet]] = {}
        self._places: dict[str, Place] = {}
        self._moving: dict[str, _Stamp] = {}
        self._loading = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="shelf", daemon=True)

    def start(self) -> None:
        """Begin to watch; `scanned` is set when all that is there now has been loaded."""
        self._thread.start()

    def stop(self) -> None:
        """End the watch."""
        self._stop.set()
        self._thread.join(_STOP_SECONDS)  # a drive that does not answer must not keep the service from ending

    def places(self) -> dict[str, Place]:
        """All that is on the shelf, by name."""
        return dict(sorted(self._places.items()))

    def get(self, name: str) -> Served:
        """The model under a name.

        Raises:
            Problem: 404 if there is none, 503 if it is not loaded yet, or cannot be.
        """
        place = self.place(name)
        if place.served is None:
            raise Problem(503, f"The model '{name}' cannot be served: {place.error}", retry_after=30)
        return place.served

    def place(self, name: str) -> Place:
        """What is under a name, be it served or not.

        Raises:
            Problem: 404 if there is nothing, 503 if the shelf has not been looked through yet.
        """
        place = self._places.get(name)
        if place is not None:
            return place
        if not self.scanned.is_set():
            raise Problem(503, "The models are still being loaded; try again in a moment.", retry_after=2)
        raise Problem(404, f"There is no model '{name}'; GET /v1/models lists those there are.")

    def read(self, file: Path) -> DifferNet:
        """Read a model file, without its extractor.

        Raises:
            DifferNetError: If it cannot be read.
        """
        return DifferNet.load(file, device=self._device, weights=self._weights, trusted=self._trusted)

    def load(self, file: Path) -> DifferNet:
        """Read a model file, with its extractor, and try it.

        Raises:
            DifferNetError: If it cannot be read.
        """
        model = self.read(file)
        side = model.settings.views.size
        shape = (side, side) if model.region is None else model.region.mask.shape
        # The first image takes longer than all others, and shows whether the model works at all.
        pixels = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
        [verdict] = model.inspect_prepared([model.prepare(pixels)])
        if isinstance(verdict, Failure) or not math.isfinite(verdict.score):
            raise ModelFileError(f"{file}: the model gives no score of a test image; train it again.")
        next(iter(model.explain_stream([pixels])))
        return model

    def refresh(self) -> None:
        """Take up changes at once, without waiting for files to stand still."""
        self._scan(settle=False)

    def put_in_place(self, served: Served, write: Callable[[Path], None]) -> None:
        """Write the file of a model anew, unless another was put there since it was loaded.

        Args:
            served: The model.
            write: Writes the file.

        Raises:
            Problem: 409 if the file is not the one that is served any more; nothing is changed then.
            OSError: If the file cannot be written.
        """
        if self._trusted is not None:
            raise Problem(409, "Models here are signed: calibrate and sign them where the key is.")
        with self._loading, replacing(served.file) as part:
            write(part)
            place = self._places.get(served.name)
            current = place is not None and place.served is served and place.error is None
            try:
                stamp = _stamp(served.file)
            except OSError:
                stamp = _NO_STAMP
            if place is None or not current or place.stamp != stamp:
                raise Problem(
                    409,
                    "Another model was put in place meanwhile, and is left as it is; see /v1/models, then try again.",
                )

    def put_version(self, name: str, seen: str | None, write: Callable[[Path], None]) -> None:
        """Put a model under a name, unless what is there is not what somebody saw who decided so.

        Args:
            name: Of the model; its file may be missing or broken.
            seen: `Place.token` of what was there; None for nothing that is served.
            write: Writes the file.

        Raises:
            Problem: 409 if something else is there; nothing is changed then.
            OSError: If the file cannot be written.
        """
        if self._trusted is not None:
            raise Problem(409, "Models here are signed: save the version's model, and sign it where the key is.")
        file = self.folder / f"{name}{_SUFFIX}"
        with self._loading, replacing(file) as part:
            write(part)
            place = self._places.get(name)
            try:
                stamp = _stamp(file)
            except OSError:
                stamp = _NO_STAMP
            if (_NO_STAMP if place is None else place.stamp) != stamp or (place and place.token) != seen:
                raise Problem(
                    409, "Another model was put in place meanwhile, and is left as it is; look at it, then try again."
                )

    def _watch(self) -> None:
        self._scan(settle=False)
        self.scanned.set()
        self._changed()
        while not self._stop.wait(self._interval):
            try:
                self._scan(settle=True)
            except Exception:  # the watch must go on
                _log.exception("the model folder could not be looked through")

    def _scan(self, *, settle: bool) -> None:
        with self._loading:
            found, reports = self._look()
            for name in set(self._places) - set(found):
                del self._places[name]
                _log.info("model removed", extra={"model": name})
                self._changed()
            for name, (file, stamp) in found.items():
                place, report = self._places.get(name), reports.get(name)
                if place is not None and place.stamp == stamp:
                    self._moving.pop(name, None)
                    self._set(name, replace(place, report=report) if place.report != report else place)
                elif settle and self._moving.get(name) != stamp and (name, stamp) not in self._loads:
                    self._moving[name] = stamp
                elif not self._stop.is_set():
                    self._moving.pop(name, None)
                    self._set(name, replace(self._put(name, file, stamp, place), report=report))

    def _set(self, name: str, place: Place) -> None:
        before = self._places.get(name)
        self._places[name] = place
        if before is None or (before.served, before.error, before.report) != (place.served, place.error, place.report):
            self._changed()

    def _look(self) -> tuple[dict[str, tuple[Path, _Stamp]], dict[str, Path]]:
        """The model files by name, and the reports beside them."""
        found: dict[str, tuple[Path, _Stamp]] = {}
        files = {file.name: file for file in self.folder.iterdir() if not file.name.startswith(".")}
        for file in sorted(files.values()):
            if not file.name.endswith(_SUFFIX):
                continue
            try:
                found[file.name.removesuffix(_SUFFIX)] = (file, _stamp(file))
            except OSError:
                continue  # removed in between
        reports = {
            name: files[f"{name}{suffix}"]
            for name in found
            for suffix in reversed(_REPORT_SUFFIXES)
            if f"{name}{suffix}" in files
        }
        return found, reports

    def _put(self, name: str, file: Path, stamp: _Stamp, before: Place | None) -> Place:
        old = None if before is None else before.served
        try:
            model = self._load_in_time(name, file, stamp)
        except FutureTimeoutError:
            error = f"{file.name}: takes more than {self._load_seconds:g} s to load; see whether its drive answers."
            if before is None or before.error != error:
                _log.error("model takes long", extra={"model": name, "reason": error, "old_kept": old is not None})
            return Place(file, old, error, _NO_STAMP)
        except DifferNetError as error:
            _log.error(
                "model cannot be loaded", extra={"model": name, "reason": str(error), "old_kept": old is not None}
            )
            return Place(file, old, str(error), stamp)
        except Exception as error:  # a file must never take the others down
            _log.exception("model cannot be loaded", extra={"model": name, "old_kept": old is not None})
            return Place(file, old, f"{file.name}: cannot be loaded ({type(error).__name__}); see the log.", stamp)
        served = Served(
            name=name,
            model=model,
            file=file,
            loaded_at=now(),
            model_id="" if model.manifest is None else model.manifest.model_id,
            calibration_id=calibration_id(model),
        )
        _log.info("model loaded", extra={"model": name, "model_id": served.model_id})
        return Place(file, served, None, stamp)

    def _load_in_time(self, name: str, file: Path, stamp: _Stamp) -> DifferNet:
        """Load a file, or see what became of it; one that was waited for in vain is asked after, not waited for."""
        key = name, stamp
        loading = self._loads.get(key)
        wait = 0.0 if loading is not None else self._load_seconds
        if loading is None:
            loading = self._loads[key] = Future()
            threading.Thread(target=self._load_into, args=(loading, file), name="load", daemon=True).start()
        try:
            return loading.result(wait)
        finally:
            if loading.done():
                self._loads.pop(key, None)

    def _load_into(self, loading: Future[DifferNet], file: Path) -> None:
        try:
            loading.set_result(self.load(file))
        except BaseException as error:
            loading.set_exception(error)


def _stamp(file: Path) -> _Stamp:
    status = file.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def calibration_id(model: DifferNet) -> str:
    """Tells calibrations of a model apart, 8 hexadecimal digits."""
    digest = hashlib.sha256(model.held_out_scores.numpy().tobytes())
    if model.calibration is not None:
        digest.update(f"{model.calibration.false_reject_rate} {model.calibration.review_rate}".encode())
    return digest.hexdigest()[:8]
