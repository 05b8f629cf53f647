"""Inspector: an exported model, ready to give verdicts."""

from __future__ import annotations

import itertools
import json
import logging
import math
import os
import stat
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from differnet_runtime.deep import Depth
from differnet_runtime.errors import ImageError, ModelFileError, NoMapError, SettingsError
from differnet_runtime.given_region import GivenRegion, Region
from differnet_runtime.images import DEFAULT_MAX_PIXELS, MIN_SIDE, DecodedImage, ImageSource, decode_image
from differnet_runtime.likeness import TrainingImages
from differnet_runtime.seal import is_sound
from differnet_runtime.verdict import Decision, Failure, Verdict

__all__ = ["Inspector"]

_log = logging.getLogger(__name__)

_FORMAT = "differnet-export"
_NEWEST = 1
_DECISIONS: tuple[Decision, ...] = ("accept", "review", "reject")
_READ_AHEAD = 2


class Inspector:
    """Gives verdicts on images by a file that ``differnet export`` wrote.

    Args:
        path: The ``.onnx`` file.
        threads: How many threads a verdict may take; None takes as many as there are cores.
        max_pixels: Images with more pixels than this are refused.
        threshold: A threshold by hand instead of the file's: what scores above it is refused, and nothing is sent to
            review. P-values stay the file's.
        region: The part of each image that is shown to the model: a box ``x,y,width,height`` or a mask. For a model
            with a region of interest of its own it takes that one's place, and must be as large. Maps are 0 outside.

    Attributes:
        manifest: What the model that was exported says of itself; of a threshold by hand, in ``calibration``, too.
        about: What the file says of its outputs.
        threshold: Scores above it are refused; None where neither the file nor the caller has one.

    Raises:
        SettingsError: If threshold or region are not usable.
        ModelFileError: If the file is missing, damaged, foreign, or newer than this version.

    Example:
        >>> inspector = Inspector("bottle.onnx")  # doctest: +SKIP
        >>> inspector.inspect("part.png").decision  # doctest: +SKIP
        'accept'
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        threads: int | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        threshold: float | None = None,
        region: Region | None = None,
    ) -> None:
        file = self._file = Path(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        content = _read(file)
        sound = is_sound(content)
        if sound is False:
            raise _changed(file)
        try:
            # It would print of a second try, on stdout.
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception:  # the runtime's exceptions have no common base
            raise _damaged(file) from None
        self.about, self.manifest = _parsed(file, self._session)
        if sound is None:
            _tell_no_digest(file, self.about)
        self._max_pixels = max_pixels
        self._size: list[int] | None = self.about["image_size"]
        self._outputs: list[str] = self.about["outputs"]
        seen = self.manifest["training"].get("seen")
        self._seen = None if seen is None else TrainingImages.from_dict(seen)
        calibration = self.manifest.get("calibration")
        self.threshold: float | None = None if calibration is None else float(calibration["threshold"])
        self._by_hand = threshold is not None
        if threshold is not None:
            self.threshold = _finite(threshold)
            self.manifest["calibration"] = _set_by_hand(calibration, self.threshold)
        self._region = None if region is None else GivenRegion(region, self._size, self.about.get("region_box"))
        # Without the map where it is not asked for.
        self._run_options = onnxruntime.RunOptions()
        self._run_options.only_execute_path_to_fetches = True
        self._run_options.log_severity_level = 4  # what fails is said by an error

    @property
    def has_map(self) -> bool:
        """Whether the file was exported with heat maps."""
        return "map" in self._outputs

    def inspect(self, image: ImageSource) -> Verdict:
        """Give the verdict on one image.

        Args:
            image: A path, the content of a file, or an array.

        Raises:
            ImageError: If the image cannot be used.
        """
        result = next(self.inspect_stream([image]))
        if isinstance(result, Failure):
            raise ImageError(str(result))
        return result

    def inspect_stream(self, images: Iterable[ImageSource]) -> Iterator[Verdict | Failure]:
        """Give the verdicts on images one after the other, as they come; images are read ahead.

        Args:
            images: Paths, contents or arrays; consumed as needed.

        Yields:
            In the order of the input, the verdict on an image or why there is none.
        """
        before = time.perf_counter()
        for source, image in self._read_ahead(images):
            if isinstance(image, Failure):
                yield image
                continue
            outputs = self._run(image.pixels, [name for name in self._outputs if name != "map"])
            now = time.perf_counter()
            if math.isfinite(float(outputs["score"])):
                yield self._verdict(source, image, outputs, round(1000 * (now - before), 3))
            else:  # which no threshold would refuse
                yield Failure(source, "The model gives no number for this image; look at it, and export again.")
            before = time.perf_counter()

    def explain(self, image: ImageSource) -> NDArray[np.float32]:
        """Compute the heat map of one image.

        Args:
            image: A path, the content of a file, or an array.

        Returns:
            float32 (height, width) in the image's own size, >= 0. For calibrated models 1 is the hottest that good
            images get at the stated false-reject rate; otherwise 1 is the hottest of this very image.

        Raises:
            ImageError: If the image cannot be used.
            NoMapError: If the file was exported without maps.
        """
        if not self.has_map:
            raise NoMapError("The file was exported without heat maps; export the model again, with --map.")
        pixels = self._load(image).pixels
        heat = cast("NDArray[np.float32]", self._run(pixels, ["map"])["map"])
        return heat if self._region is None else self._region.place(heat, pixels.shape[1], pixels.shape[0])

    def _load(self, source: ImageSource) -> DecodedImage:
        scale = None if self._seen is None else self._seen.scale
        image = decode_image(source, max_pixels=self._max_pixels, scale=scale)
        height, width = image.pixels.shape[:2]
        width, height = self._shown(width, height)
        if self._size is not None and [width, height] != self._size:
            raise ImageError(
                f"The image has {width} x {height} pixels, the region of interest was made for "
                f"{self._size[0]} x {self._size[1]}; give images of that size."
            )
        return image

    def _run(self, image: NDArray[np.uint8], names: list[str]) -> Mapping[str, NDArray[Any]]:
        seen = image if self._region is None else self._region.cut(image)
        try:
            values = self._session.run(names, {"image": seen}, self._run_options)
        except MemoryError:
            raise
        except Exception:  # the runtime's exceptions have no common base
            raise _damaged(self._file) from None
        return dict(zip(names, values, strict=True))

    def _verdict(
        self, source: str, image: DecodedImage, outputs: Mapping[str, NDArray[Any]], milliseconds: float
    ) -> Verdict:
        height, width = image.pixels.shape[:2]
        score, judged = float(outputs["score"]), "decision" in outputs
        margin = float(outputs["margin"]) if judged else None
        decision = _DECISIONS[int(outputs["decision"])] if judged else None
        if self._by_hand and self.threshold is not None:
            margin, decision = score - self.threshold, "reject" if score > self.threshold else "accept"
        return Verdict(
            source=source,
            score=score,
            threshold=self.threshold,
            margin=margin,
            p_value=float(outputs["p_value"]) if judged else None,
            decision=decision,
            width=width,
            height=height,
            model_id=self.manifest["model_id"],
            milliseconds=milliseconds,
            views=self.about["views"],
            unlike=None
            if self._seen is None
            else self._seen.unlike(*self._shown(width, height), image.depth, image.pages),
        )

    def _shown(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of what the model sees of an image."""
        return (width, height) if self._region is None else self._region.shown(width, height)

    def _read_ahead(self, images: Iterable[ImageSource]) -> Iterator[tuple[str, DecodedImage | Failure]]:
        def read(item: tuple[int, ImageSource]) -> tuple[str, DecodedImage | Failure]:
            name = _describe(item[1], item[0])
            try:
                return name, self._load(item[1])
            except ImageError as error:
                return name, Failure(name, str(error))

        remaining = enumerate(images)
        with ThreadPoolExecutor(1, thread_name_prefix="differnet-read") as pool:
            pending: deque[Future[tuple[str, DecodedImage | Failure]]] = deque()
            try:
                for item in itertools.islice(remaining, _READ_AHEAD):
                    pending.append(pool.submit(read, item))
                while pending:
                    result = pending.popleft().result()
                    for item in itertools.islice(remaining, 1):
                        pending.append(pool.submit(read, item))
                    yield result
            finally:
                for future in pending:
                    future.cancel()


def _read(file: Path) -> bytes:
    try:
        mode = file.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # reading a pipe may never end
            raise ModelFileError(f"{file}: is not an ordinary file; give a file that 'differnet export' made.")
        # Read by Python: the runtime does not open every file name.
        return file.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelFileError(f"{file}: cannot be read ({reason}); check the path.") from None


def _damaged(file: Path) -> ModelFileError:
    return ModelFileError(f"{file}: is damaged or not an ONNX file; copy it again, or export the model again.")


def _changed(file: Path) -> ModelFileError:
    return ModelFileError(f"{file}: is damaged, or was changed after it was exported; copy it again, or export again.")


def _tell_no_digest(file: Path, about: Mapping[str, Any]) -> None:
    if about.get("has_digest"):
        raise _changed(file)
    _log.warning(
        "%s: was exported without a digest, so damage to it would not be seen; export the model again to add one.", file
    )


def _parsed(file: Path, session: onnxruntime.InferenceSession) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a file says of itself, as far as it is used here."""
    metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    if metadata.get("format") != _FORMAT:
        raise ModelFileError(f"{file}: was not exported by differnet; give a file that 'differnet export' made.")
    try:
        about, manifest = json.loads(metadata["export"]), json.loads(metadata["manifest"])
        version = int(about["export_version"])
        if version <= _NEWEST:
            _check(about, manifest, session)
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
        raise ModelFileError(f"{file}: what it says of itself is damaged; export the model again.") from None
    if version > _NEWEST:
        raise ModelFileError(
            f"{file}: has export version {version}, this differnet-runtime reads {_NEWEST}; upgrade differnet-runtime."
        )
    return about, manifest


def _check(about: Mapping[str, Any], manifest: Mapping[str, Any], session: onnxruntime.InferenceSession) -> None:
    """Raise an error of Python's own where something that is used later has not its type."""
    size, outputs, calibration = about["image_size"], about["outputs"], manifest.get("calibration")
    needed = {"score"} if calibration is None else {"score", "margin", "p_value", "decision"}
    known = {output.name for output in session.get_outputs()}
    if [each.name for each in session.get_inputs()] != ["image"] or not needed <= set(outputs) <= known:
        raise ValueError("outputs")
    if size is not None and not (len(size) == 2 and all(isinstance(side, int) for side in size)):
        raise ValueError("image_size")
    if calibration is not None and not math.isfinite(float(calibration["threshold"])):
        raise ValueError("threshold")
    if not isinstance(about["views"], int) or not isinstance(manifest["model_id"], str):
        raise TypeError("views, model_id")
    seen = manifest["training"].get("seen")
    if seen is not None:
        TrainingImages.from_dict(seen).unlike(MIN_SIDE, MIN_SIDE, Depth("integer", 0.0, 1.0))


def _finite(threshold: float) -> float:
    if not math.isfinite(threshold):
        raise SettingsError(f"A threshold must be a finite number, not {threshold}.")
    return float(threshold)


def _set_by_hand(calibration: Mapping[str, Any] | None, threshold: float) -> dict[str, Any]:
    """What a manifest says of a threshold by hand, as `differnet calibrate --threshold` writes it."""
    known = dict(calibration or {"images": 0, "source": None})
    return {
        **known,
        "threshold": threshold,
        "false_reject_rate": None,
        "review_rate": None,
        "review_threshold": None,
        "source": "by-hand",
        "scores_source": known.get("scores_source") or known["source"],
    }


def _describe(source: ImageSource, index: int) -> str:
    if isinstance(source, np.ndarray):
        return f"array[{index}]"
    return f"image[{index}]" if isinstance(source, bytes) else str(source)
