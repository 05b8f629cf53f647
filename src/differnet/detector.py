"""DifferNet: fit on good images, score, save, load. The public face of the package."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet.bundle import Manifest, TrainingRecord, read_bundle, write_bundle
from differnet.errors import DatasetError, ImageError, ModelFileError, NotFittedError, WeightsError
from differnet.extractors import build_extractor, find_weights
from differnet.extractors.precision import choose_device, choose_dtype
from differnet.features import Failure, FeatureExtraction, describe
from differnet.flow import TWO_OVER_PI, NormalizingFlow
from differnet.images import ImageSource, read_good_images
from differnet.official import OFFICIAL_CLAMP_FACTOR, read_official_flow
from differnet.scoring import score_features
from differnet.settings import FlowSettings, Settings, preset
from differnet.training import EpochReport, TrainingResult, split_held_out, train_flow
from differnet.training_vectors import BankVectors, FreshVectors, VectorSource
from differnet.views import fixed_views, random_views

__all__ = ["DifferNet", "GoodImages", "ImageScore", "Listener"]

GoodImages: TypeAlias = str | os.PathLike[str] | Iterable[ImageSource]
"""Good images: a product or plain folder, a list file, or any number of paths and arrays."""

_FLOW_PREFIX = "flow."
_HELD_OUT_SCORES = "held_out.scores"


class Listener:
    """Hears how long work goes on; every method does nothing unless overridden."""

    def images(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` images have passed a stage, such as ``features``."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch of training is over."""


@dataclass(frozen=True)
class ImageScore:
    """The anomaly score of an image.

    Attributes:
        source: The path, or ``array[i]`` for the i-th input.
        score: Higher is more anomalous; never clipped or rescaled.
        width: Width of the image, in pixels.
        height: Height of the image, in pixels.
    """

    source: str
    score: float
    width: int
    height: int


class DifferNet:
    """Learns what good parts look like and scores how far an image is from that.

    Rudolph, Wandt, Rosenhahn: "Same Same But DifferNet: Semi-Supervised Defect Detection with Normalizing Flows",
    WACV 2021.

    Args:
        settings: A preset's name (``default`` or ``paper``) or settings of your own.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``.
        weights: File or folder with the extractor's pretrained weights; None searches for them, see
            `differnet.extractors.weights`.

    Attributes:
        settings: All settings.
        device: Where the networks run.
        manifest: What the model file says of this model; None until fitted.
        failures: Images of the last `fit` that could not be used.
        held_out_scores: Scores of the good images that training did not see, float32 (M,).

    Example:
        >>> model = DifferNet().fit("bottle/train/good")  # doctest: +SKIP
        >>> model.score(["part.png"])  # doctest: +SKIP
        array([1.02])
    """

    def __init__(
        self,
        settings: Settings | str = "default",
        *,
        device: str = "auto",
        weights: str | os.PathLike[str] | None = None,
    ) -> None:
        self.settings = preset(settings) if isinstance(settings, str) else settings
        self.device = choose_device(device)
        self.manifest: Manifest | None = None
        self.failures: list[Failure] = []
        self.held_out_scores = torch.empty(0)
        self._weights_path = weights
        self._extraction: FeatureExtraction | None = None
        self._extractor_sha256 = ""
        self._flow: NormalizingFlow | None = None

    @property
    def extraction(self) -> FeatureExtraction:
        """The path from images to features; the extractor's weights are loaded on first use.

        Raises:
            WeightsError: If the weights are not found, or not those that the model was trained with.
        """
        if self._extraction is None:
            chosen = self.settings.extractor
            weights = find_weights(chosen.name, path=self._weights_path)
            if self.manifest is not None and weights.fingerprint != self.manifest.extractor_sha256:
                raise WeightsError(
                    f"The model was trained with other {chosen.name} weights (SHA-256 "
                    f"{self.manifest.extractor_sha256[:12]}...) than those in {weights.origin} "
                    f"({weights.fingerprint[:12]}...); point --weights or DIFFERNET_WEIGHTS at the former."
                )
            self._extractor_sha256 = weights.fingerprint
            self._extraction = FeatureExtraction(
                build_extractor(chosen.name, weights),
                size=self.settings.views.size,
                scales=chosen.scales,
                device=self.device,
                dtype=choose_dtype(chosen.precision, self.device),
            )
        return self._extraction

    @property
    def flow(self) -> NormalizingFlow:
        """The normalizing flow.

        Raises:
            NotFittedError: If the model was neither fitted nor loaded.
        """
        if self._flow is None:
            raise NotFittedError("The model has not learnt anything yet; call fit() or load() first.")
        return self._flow

    def fit(self, images: GoodImages, listener: Listener | None = None) -> DifferNet:
        """Learn from images of good parts.

        Ctrl-C during training keeps the best state so far; ``manifest.training.interrupted`` tells. Images that
        cannot be read are left out and listed in `failures`.

        Args:
            images: A product in the MVTec layout, a plain folder, a list file, or paths and arrays.
            listener: Hears of the progress.

        Returns:
            The model itself.

        Raises:
            DatasetError: If there are too few good images.
            WeightsError: If the extractor's weights are not found.
            DivergenceError: If training does not converge.
        """
        listener = listener or Listener()
        started = time.perf_counter()
        sources = _as_sources(images)
        views, training, seed = self.settings.views, self.settings.training, self.settings.seed
        chosen, held_out = split_held_out(len(sources), training, seed)
        self.manifest, self._flow, self.failures = None, None, []
        self.held_out_scores = torch.empty(0)
        extraction = self.extraction
        vectors = self._training_vectors(sources, chosen, listener)
        held_out_bank = extraction.bank(
            [sources[i] for i in held_out],
            fixed_views(views),
            lambda done: listener.images("held-out features", done, len(held_out)),
            names=[describe(sources[i], i) for i in held_out],
        )
        self.failures += held_out_bank.failures
        if held_out and not held_out_bank.sources:
            raise DatasetError(f"None of the held-out images can be read: {held_out_bank.failures[0].reason}")
        flow = self._new_flow(extraction.features)
        watched = held_out_bank.features if held_out else None
        result = train_flow(flow, vectors, watched, training, listener.epoch)
        if isinstance(vectors, FreshVectors):
            self.failures += vectors.failures.values()
        self._flow = flow
        if held_out:
            self.held_out_scores = self._score_features(held_out_bank.features)
        used = len(sources) - len(self.failures) - len(held_out_bank.sources)
        self._describe(sources, used, len(held_out_bank.sources), result, time.perf_counter() - started)
        return self

    def score(self, images: ImageSource | Iterable[ImageSource]) -> NDArray[np.float32]:
        """Score images.

        Args:
            images: Paths and arrays, or a single one.

        Returns:
            float32 (N,), higher is more anomalous.

        Raises:
            ImageError: If an image cannot be used; `score_stream` goes on instead.
        """
        single = isinstance(images, (str, os.PathLike, np.ndarray))
        scores = []
        for result in self.score_stream([images] if single else images):  # type: ignore[list-item,arg-type]
            if isinstance(result, Failure):
                raise ImageError(result.reason)
            scores.append(result.score)
        return np.array(scores, np.float32)

    def score_stream(self, images: Iterable[ImageSource]) -> Iterator[ImageScore | Failure]:
        """Score images one after the other, as they come.

        Args:
            images: Paths and arrays; consumed as needed.

        Yields:
            In the order of the input, the score of an image or why it has none.
        """
        flow_ready = self.flow
        flow_ready.eval()
        for result in self.extraction.stream(images, fixed_views(self.settings.views)):
            if isinstance(result, Failure):
                yield result
                continue
            score = self._score_features(result.features.unsqueeze(0)).item()
            yield ImageScore(result.source, score, result.width, result.height)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file; see `differnet.bundle`.

        Raises:
            NotFittedError: If there is nothing to save.
            OutputError: If the file cannot be written.
        """
        flow = self.flow
        if self.manifest is None:
            raise NotFittedError("The model has not learnt anything yet; call fit() or load() first.")
        tensors = {f"{_FLOW_PREFIX}{name}": tensor for name, tensor in flow.state_dict().items()}
        write_bundle(path, self.manifest, tensors | {_HELD_OUT_SCORES: self.held_out_scores})

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        device: str = "auto",
        weights: str | os.PathLike[str] | None = None,
    ) -> DifferNet:
        """Read a model file; nothing in it is executed.

        Args:
            path: A file that `save` wrote.
            device: As for the constructor.
            weights: As for the constructor.

        Raises:
            ModelFileError: If the file is missing, damaged, foreign, or newer than this version.
        """
        manifest, tensors = read_bundle(path)
        model = cls(manifest.settings, device=device, weights=weights)
        with torch.device("meta"):
            flow = build_flow(manifest.features, manifest.settings.flow)
        needed = {f"{_FLOW_PREFIX}{name}": tensor for name, tensor in flow.state_dict().items()}
        for name, expected in needed.items():
            found = tensors.get(name)
            if found is None or found.shape != expected.shape or found.dtype != expected.dtype:
                raise ModelFileError(f"{path}: the tensor '{name}' is missing or not as expected; train again.")
        flow.load_state_dict({name.removeprefix(_FLOW_PREFIX): tensors[name] for name in needed}, assign=True)
        model._flow = flow.to(model.device).eval()
        model.held_out_scores = tensors.get(_HELD_OUT_SCORES, torch.empty(0))
        model.manifest = manifest
        return model

    @classmethod
    def import_official(
        cls,
        path: str | os.PathLike[str],
        *,
        views: int = 64,
        device: str = "auto",
        weights: str | os.PathLike[str] | None = None,
    ) -> DifferNet:
        """Take over a model that the authors' code trained, from its saved state dict.

        Args:
            path: State dict, as ``torch.save(model.state_dict(), path)`` writes it, or as safetensors.
            views: Number of fixed rotations of a test image.
            device: As for the constructor.
            weights: As for the constructor.

        Raises:
            ModelFileError: If the file is not such a state dict.
        """
        state, shape = read_official_flow(path)
        settings = preset("paper").with_overrides(
            {"views.count": views, "flow.hidden": shape.hidden, "flow.blocks": shape.blocks}
        )
        model = cls(settings, device=device, weights=weights)
        flow = build_flow(shape.features, settings.flow)
        flow.load_state_dict(state, strict=False)
        if shape.features != model.extraction.features:
            raise ModelFileError(
                f"{path}: its flow takes {shape.features} features, AlexNet at three scales gives "
                f"{model.extraction.features}; only models of the official default settings can be imported."
            )
        model._flow = flow.to(model.device).eval()
        model._write_manifest(shape.features, TrainingRecord(origin="official"))
        return model

    def _training_vectors(
        self, every: Sequence[ImageSource], chosen: Sequence[int], listener: Listener
    ) -> VectorSource:
        views, training, seed = self.settings.views, self.settings.training, self.settings.seed
        sources = [every[i] for i in chosen]
        names = [describe(every[i], i) for i in chosen]
        if training.views == "fresh":
            return FreshVectors(
                self.extraction, sources, views, batch_images=training.batch_images, seed=seed, names=names
            )
        bank = self.extraction.bank(
            sources,
            lambda index: random_views(views, views.training_count, np.random.default_rng([seed, 1, index])),
            lambda done: listener.images("features", done, len(sources)),
            names=names,
        )
        self.failures += bank.failures
        if len(bank.sources) < 2:
            raise DatasetError(
                f"{len(bank.sources)} of {len(sources)} training images can be read, which is too few; the first "
                f"problem: {bank.failures[0].reason}"
            )
        return BankVectors(bank.features, batch_images=training.batch_images, seed=seed)

    def _new_flow(self, features: int) -> NormalizingFlow:
        # A generator of its own: the caller's random state is neither used nor changed.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            return build_flow(features, self.settings.flow).to(self.device)

    def _score_features(self, features: Tensor) -> Tensor:
        return score_features(self.flow, features, self.settings.scoring.aggregation)

    def _describe(
        self,
        sources: Sequence[ImageSource],
        images: int,
        held_out_images: int,
        result: TrainingResult,
        seconds: float,
    ) -> None:
        kept = result.history[result.kept_epoch - 1] if result.kept_epoch else None
        record = TrainingRecord(
            origin="trained",
            images=images,
            held_out_images=held_out_images,
            data_sha256=_data_fingerprint(sources),
            epochs=len(result.history),
            kept_epoch=result.kept_epoch,
            loss=kept.loss if kept else None,
            held_out_loss=kept.held_out_loss if kept else None,
            interrupted=result.interrupted,
            seconds=round(seconds, 3),
            device=str(self.device),
            precision=str(self.extraction.dtype).removeprefix("torch."),
        )
        self._write_manifest(self.extraction.features, record)

    def _write_manifest(self, features: int, record: TrainingRecord) -> None:
        self.manifest = Manifest(
            package_version=version("differnet"),
            created=datetime.now(timezone.utc).replace(microsecond=0),
            settings=self.settings,
            features=features,
            extractor_sha256=self._extractor_sha256,
            training=record,
        )


def build_flow(features: int, settings: FlowSettings) -> NormalizingFlow:
    """Make a flow with fresh weights."""
    return NormalizingFlow(
        features,
        settings.blocks,
        settings.hidden,
        settings.clamp,
        clamp_factor=OFFICIAL_CLAMP_FACTOR if settings.official_clamp_factor else TWO_OVER_PI,
    )


def _as_sources(images: GoodImages) -> list[ImageSource]:
    if isinstance(images, (str, os.PathLike)):
        return list(read_good_images(images).paths)
    if isinstance(images, np.ndarray):
        raise DatasetError("fit() needs several good images; give a list of arrays, a folder or paths.")
    return list(images)


def _data_fingerprint(sources: Iterable[ImageSource]) -> str:
    """SHA-256 over the contents of all images, whatever their names and order."""
    digests = []
    for source in sources:
        if isinstance(source, np.ndarray):
            content = str((source.shape, source.dtype)).encode() + source.tobytes()
        else:
            try:
                content = Path(source).read_bytes()
            except OSError:
                continue
        digests.append(hashlib.sha256(content).digest())
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()
