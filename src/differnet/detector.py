"""DifferNet: fit on good images, calibrate, inspect, explain, save, load. The public face of the package."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet.calibration import Calibration, CalibrationRecord, Source, Tail, calibrate, images_needed
from differnet.compute.devices import choose_device, choose_dtype
from differnet.errors import (
    CalibrationError,
    DatasetError,
    ImageError,
    ModelFileError,
    NotFittedError,
    SettingsError,
    WeightsError,
)
from differnet.extractors import Weights, build_extractor, find_weights
from differnet.features import Engine, FeatureExtraction
from differnet.features.cache import FeatureCache
from differnet.flow import FlowEnsemble, NormalizingFlow
from differnet.flow.build import build_flow
from differnet.images import ImageSource, RegionOfInterest, data_fingerprint, read_good_images, region_fingerprint
from differnet.images.failure import Failure
from differnet.inspection.explanation import Explanation
from differnet.inspection.inspection import Inspection, Prepared
from differnet.inspection.verdict import Verdict
from differnet.localization.local_model import LocalModel
from differnet.localization.localizer import HEAT_METHODS, HeatMethod, Localizer, display_scale
from differnet.localization.regions import find_regions
from differnet.model_file.bundle import read_bundle, write_bundle
from differnet.model_file.manifest import Manifest, TrainingRecord
from differnet.model_file.official import read_official_flow
from differnet.model_file.tensors import pack, unpack
from differnet.scoring import CommonScale
from differnet.settings import Settings, preset
from differnet.training.fitting import Fitted, Fitting
from differnet.training.progress import Listener
from differnet.training.view_choice import ViewDecision, choose_views
from differnet.views import fixed_views

__all__ = ["DifferNet", "GoodImages"]

GoodImages: TypeAlias = str | os.PathLike[str] | Iterable[ImageSource]
"""Good images: a product or plain folder, a list file, or any number of paths and arrays."""

_Result = TypeVar("_Result")


class DifferNet:
    """Learns what good parts look like, tells how far an image is from that, decides, and shows where.

    Rudolph, Wandt, Rosenhahn: "Same Same But DifferNet: Semi-Supervised Defect Detection with Normalizing Flows",
    WACV 2021.

    Args:
        settings: A preset's name (``default`` or ``paper``) or settings of your own.
        region: Which pixels count; scores, maps and training see nothing else. All images must have its size.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``.
        weights: The extractor's pretrained weights, or the file or folder that holds them; None searches for them,
            see `differnet.extractors.weights`.
        cache: Folder where features are kept from one training to the next, see `differnet.features.cache`; None keeps
            none.
        recipe: Text of the recipe that the settings come from, kept in the model file.
        engine: What runs the extractor on a CPU, see `FeatureExtraction`.

    Attributes:
        settings: All settings.
        region: The region of interest, None for whole images.
        device: Where the networks run.
        manifest: What the model file says of this model; None until fitted.
        calibration: The threshold; None until there is one.
        failures: Images of the last `fit` or `calibrate` that could not be used.
        view_decision: How `fit` chose the views; None unless it was asked to, by ``views.kind=auto``.
        held_out_scores: float32 (n,) scores of good images that the flow which gave them was not trained on, in the
            order of the images.

    Example:
        >>> model = DifferNet().fit("bottle/train/good")  # doctest: +SKIP
        >>> model.inspect("part.png").decision  # doctest: +SKIP
        'accept'
    """

    def __init__(
        self,
        settings: Settings | str = "default",
        *,
        region: RegionOfInterest | None = None,
        device: str = "auto",
        weights: str | os.PathLike[str] | Weights | None = None,
        cache: str | os.PathLike[str] | None = None,
        recipe: str | None = None,
        engine: Engine = "auto",
    ) -> None:
        self._recipe, self._engine = recipe, engine
        self._cache = None if cache is None else FeatureCache(cache)
        self.settings = preset(settings) if isinstance(settings, str) else settings
        self.region = region
        self.device = choose_device(device)
        self.manifest: Manifest | None = None
        self.calibration: Calibration | None = None
        self.failures: list[Failure] = []
        self.view_decision: ViewDecision | None = None
        self.held_out_scores = torch.empty(0)
        self._peaks = torch.empty(0)
        self._source: Source = "held-out"
        self._weights = weights
        self._extraction: FeatureExtraction | None = None
        self._extractor_sha256 = ""
        self._flow: NormalizingFlow | FlowEnsemble | None = None
        self._local: LocalModel | None = None
        self._scale: CommonScale | None = None
        self._localizer: Localizer | None = None

    @property
    def extraction(self) -> FeatureExtraction:
        """The path from images to features; the extractor's weights are loaded on first use.

        Raises:
            WeightsError: If the weights are not found, or not those that the model was trained with.
        """
        if self._extraction is None:
            chosen = self.settings.extractor
            given = self._weights
            weights = given if isinstance(given, Weights) else find_weights(chosen.name, path=given)
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
                dtype=choose_dtype(self._precision, self.device),
                region=self.region,
                stages=chosen.stages,
                deviation=chosen.deviation,
                cache=self._cache,
                fingerprint=weights.fingerprint,
                engine=self._engine,
            )
        return self._extraction

    @property
    def _precision(self) -> str:
        """What the extractor computes in: what it did in training, or a trained model's threshold would not hold."""
        if self.manifest is None or self.manifest.training.origin != "trained":
            return self.settings.extractor.precision
        return self.manifest.training.precision

    @property
    def flow(self) -> NormalizingFlow | FlowEnsemble:
        """The normalizing flow, or an ensemble of them.

        Raises:
            NotFittedError: If the model was neither fitted nor loaded.
        """
        if self._flow is None:
            raise NotFittedError("The model has not learnt anything yet; call fit() or load() first.")
        return self._flow

    def fit(self, images: GoodImages, listener: Listener | None = None) -> DifferNet:
        """Learn from images of good parts, and calibrate as the settings say.

        Ctrl-C during training keeps the best state so far; ``manifest.training.interrupted`` tells. Images that
        cannot be read are left out and listed in `failures`. With too few images for the rate of the settings the
        model is left without a threshold; `uncalibrated_reason` tells.

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
        started = time.perf_counter()
        sources = _as_sources(images)
        self.manifest = self._flow = self._local = self._scale = self._localizer = self.calibration = None
        self.failures = []
        self.view_decision = None
        if self.settings.views.kind == "auto":
            self.view_decision = choose_views(self.extraction, sources, self.settings.views, self.settings.seed)
            self.settings = self.settings.model_copy(update={"views": self.view_decision.views})
        fitted = Fitting(self.settings, self.extraction, listener or Listener()).run(sources)
        self._flow, self._local, self._scale = fitted.flow, fitted.local, fitted.scale
        self.failures = fitted.failures
        self.held_out_scores, self._peaks, self._source = fitted.scores, fitted.peaks, fitted.source
        self._describe(sources, fitted, time.perf_counter() - started)
        chosen = self.settings.calibration
        if chosen.method != "none" and len(fitted.scores) >= images_needed(chosen.false_reject_rate):
            self.calibrate(false_reject_rate=chosen.false_reject_rate, review_rate=chosen.review_rate)
        return self

    @property
    def uncalibrated_reason(self) -> str:
        """Why there is no threshold, and what to do; empty if there is one."""
        if self.calibration is not None:
            return ""
        rate = self.settings.calibration.false_reject_rate
        if self.settings.calibration.method == "none" or self._is_imported:
            why = "training was not asked for a threshold"
        else:
            why = (
                f"a false-reject rate of {rate:g} takes {images_needed(rate)} good images, and "
                f"{len(self.held_out_scores)} are at hand"
            )
        return f"The model has no threshold: {why}. Run 'differnet calibrate MODEL GOOD_IMAGES' with images of its own."

    def calibrate(
        self,
        images: GoodImages | None = None,
        *,
        false_reject_rate: float = 0.05,
        review_rate: float | None = None,
        tail: Tail = "conformal",
        keep_scores: bool = False,
        listener: Listener | None = None,
    ) -> Calibration:
        """Set the threshold, and the scale of heat maps, from good images alone.

        Args:
            images: Good images that training did not see; None takes the scores that training kept for this.
            false_reject_rate: Share of good parts that may be refused, in (0, 1).
            review_rate: Share of good parts that may be refused or sent to review; None for no review.
            tail: See `differnet.calibration.calibrate`.
            keep_scores: Add the images to those that the model was calibrated by so far, instead of replacing them.
            listener: Hears of the progress.

        Returns:
            The calibration, also kept in `calibration`; the old one stays if this fails.

        Raises:
            NotFittedError: If the model was neither fitted nor loaded.
            SettingsError: If a rate is not allowed.
            CalibrationError: If the images are too few for the rate.
            DatasetError: If no image can be read.
        """
        _ = self.flow
        scores, peaks, source = self.held_out_scores, self._peaks, self._source
        if images is not None:
            sources = _as_sources(images)
            # Reading the images may take long: what as many made-up scores would be refused for is told before.
            kept = len(scores) if keep_scores else 0
            calibrate(np.arange(kept + len(sources)), false_reject_rate, review_rate, tail)
            measured = self._measure(sources, listener or Listener())
            if kept:
                scores, peaks = torch.cat([scores, measured[0]]), torch.cat([peaks, measured[1]])
            else:
                (scores, peaks), source = measured, "images"
        elif not len(scores):
            raise CalibrationError("Training held no images out; give good images that it did not see.")
        self.calibration = calibrate(scores.double().numpy(), false_reject_rate, review_rate, tail)
        self.held_out_scores, self._peaks, self._source = scores, peaks, source
        self._update_manifest(calibration=self.calibration.record(source))
        return self.calibration

    def score(self, images: ImageSource | Iterable[ImageSource]) -> NDArray[np.float32]:
        """Score images by all their views.

        Args:
            images: Paths and arrays, or a single one.

        Returns:
            float32 (N,), higher is more anomalous.

        Raises:
            ImageError: If an image cannot be used; `inspect_stream` goes on instead.
        """
        single = isinstance(images, (str, os.PathLike, bytes, np.ndarray))
        several: Iterable[ImageSource] = [images] if single else images  # type: ignore[list-item,assignment]
        results = self.inspect_stream(several, all_views=True)
        return np.array([_usable(result).score for result in results], np.float32)

    def inspect(self, image: ImageSource) -> Verdict:
        """Give the verdict on one image.

        Args:
            image: A path or an array.

        Raises:
            ImageError: If the image cannot be used.
        """
        return _usable(next(iter(self.inspect_stream([image]))))

    def inspect_stream(self, images: Iterable[ImageSource], *, all_views: bool = False) -> Iterator[Verdict | Failure]:
        """Give the verdicts on images one after the other, as they come.

        Args:
            images: Paths and arrays; consumed as needed.
            all_views: Score by all views; else no more of them are computed than settle the decision, see
                `differnet.scoring.sequential`.

        Returns:
            In the order of the input, the verdict on an image or why there is none.

        Raises:
            NotFittedError: If the model was neither fitted nor loaded.
        """
        return self._inspection.stream(images, all_views=all_views)

    def prepare(self, image: ImageSource) -> Prepared | Failure:
        """Do for an image what is done for each by itself, for `inspect_prepared`.

        With these two, programs where images come from many sides at any time do what `inspect_stream` does for a
        list. On a CPU the network is a part of this one; it is quickest called from as many threads as there are
        cores, each with ``torch.set_num_threads(1)``.

        Args:
            image: A path or an array.

        Raises:
            NotFittedError: If the model was neither fitted nor loaded.
        """
        return self._inspection.prepare(image)

    def inspect_prepared(self, images: Sequence[Prepared | Failure]) -> list[Verdict | Failure]:
        """Give the verdicts on prepared images, quickest for several at once.

        Args:
            images: What `prepare` of this model returned.

        Returns:
            In their order, the verdict on an image or why there is none.
        """
        return self._inspection.judge_prepared(images)

    def explain(self, image: ImageSource, method: HeatMethod | None = None) -> NDArray[np.float32]:
        """Compute the heat map of one image; `explain_stream` also gives verdict and regions.

        Args:
            image: A path or an array.
            method: ``neighbours`` or ``gradient`` (the paper's, section 3.4); None for the model's own.

        Returns:
            float32 (height, width) in the image's own size, >= 0; see `Explanation.heat` for the scale.

        Raises:
            ImageError: If the image cannot be used.
        """
        return _usable(next(iter(self.explain_stream([image], method)))).heat

    def explain_stream(
        self, images: Iterable[ImageSource], method: HeatMethod | None = None
    ) -> Iterator[Explanation | Failure]:
        """Explain images one after the other, as they come.

        Args:
            images: Paths and arrays; consumed as needed.
            method: As for `explain`.

        Yields:
            In the order of the input, verdict, heat map and regions of an image, or why there are none.

        Raises:
            SettingsError: If there is no such method.
        """
        own = self.settings.localization.method
        chosen = own if method is None else method
        if chosen not in HEAT_METHODS:
            raise SettingsError(f"There is no map by '{chosen}'; choose one of {', '.join(HEAT_METHODS)}.")
        fixed = None
        if chosen == own and len(self._peaks) and self.calibration is not None:
            fixed = display_scale(self._peaks.double().numpy(), self.calibration.false_reject_rate)
        inspection, localizer = self._inspection, self._prepared_localizer()
        for image, clock, flow_score in inspection.features(
            images, described=chosen == "neighbours", side_by_side=chosen != "gradient"
        ):
            if isinstance(image, Failure):
                yield image
                continue
            anomaly = None if image.cells is None else localizer.anomaly(image.cells)
            raw = localizer.raw_map(image.pixels, chosen, anomaly)
            scale = localizer.peak(raw) if fixed is None else fixed
            heat = localizer.heat(raw, chosen, scale, image.width, image.height)
            smallest = localizer.smallest_region(chosen, image.width, image.height)
            regions = () if fixed is None else tuple(find_regions(heat, min_area=smallest))
            verdict = inspection.verdict(image, clock(), anomaly, flow_score)
            yield Explanation(verdict, heat, regions, fixed is not None)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file; see `differnet.model_file.bundle`.

        Raises:
            NotFittedError: If there is nothing to save.
            OutputError: If the file cannot be written.
        """
        flow = self.flow
        if self.manifest is None:
            raise NotFittedError("The model has not learnt anything yet; call fit() or load() first.")
        tensors = pack(
            flow,
            halved=self.settings.flow.stored == "float16",
            scores=self.held_out_scores,
            peaks=self._peaks,
            local=self._local,
            scale=self._scale,
            region=self.region,
        )
        write_bundle(path, self.manifest, tensors)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        device: str = "auto",
        weights: str | os.PathLike[str] | Weights | None = None,
        engine: Engine = "auto",
    ) -> DifferNet:
        """Read a model file; nothing in it is executed.

        Args:
            path: A file that `save` wrote.
            device: As for the constructor.
            weights: As for the constructor.
            engine: As for the constructor.

        Raises:
            ModelFileError: If the file is missing, damaged, foreign, or of another format version.
        """
        manifest, tensors = read_bundle(path)
        found = unpack(path, manifest, tensors)
        model = cls(manifest.settings, region=found.region, device=device, weights=weights, engine=engine)
        model._flow = found.flow.to(model.device).eval()
        model.held_out_scores, model._peaks = found.scores, found.peaks
        model.calibration, model._local, model._scale = found.calibration, found.local, found.scale
        if manifest.calibration is not None:
            model._source = manifest.calibration.source
        model.manifest = manifest
        return model

    @classmethod
    def import_official(
        cls,
        path: str | os.PathLike[str],
        *,
        views: int = 64,
        device: str = "auto",
        weights: str | os.PathLike[str] | Weights | None = None,
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

    @property
    def _is_imported(self) -> bool:
        return self.manifest is not None and self.manifest.training.origin == "official"

    @property
    def _inspection(self) -> Inspection:
        """What gives verdicts with the model as it is now.

        Raises:
            NotFittedError: If the model was neither fitted nor loaded.
        """
        flow = self.flow
        return Inspection(
            self.settings,
            self.extraction,
            flow,
            self._prepared_localizer(),
            scale=self._scale,
            calibration=self.calibration,
            model_id="" if self.manifest is None else self.manifest.model_id,
        )

    def _measure(self, sources: list[ImageSource], listener: Listener) -> tuple[Tensor, Tensor]:
        """Scores of good images, and the hottest raw value of their maps."""
        inspection, localizer = self._inspection, self._prepared_localizer()
        method = self.settings.localization.method
        scores, peaks, failures = [], [], []
        inspected = inspection.features(sources, described=method == "neighbours")
        for done, (image, _, flow_score) in enumerate(inspected, start=1):
            if isinstance(image, Failure):
                failures.append(image)
            else:
                anomaly = None if image.cells is None else localizer.anomaly(image.cells)
                scores.append(inspection.score(image, anomaly, flow_score))
                peaks.append(localizer.peak(localizer.raw_map(image.pixels, method, anomaly)))
            listener.images("calibration", done, len(sources))
        self.failures = failures
        if not scores:
            reason = failures[0].reason if failures else "there are none"
            raise DatasetError(f"None of the images for calibration can be read: {reason}")
        return torch.tensor(scores), torch.tensor(peaks)

    def _prepared_localizer(self) -> Localizer:
        if self._localizer is None:
            self._localizer = Localizer(
                self.extraction,
                fixed_views(self.settings.views),
                self.settings.localization.dimensions,
                flow=self.flow,
                local=None if self._local is None else self._local.to(self.device),
                region=self.region,
            )
        return self._localizer

    def _describe(self, sources: list[ImageSource], fitted: Fitted, seconds: float) -> None:
        result = fitted.result
        kept = result.history[result.kept_epoch - 1] if result.kept_epoch else None
        record = TrainingRecord(
            origin="trained",
            images=fitted.images,
            held_out_images=fitted.held_out_images,
            data_sha256=data_fingerprint(sources),
            region_sha256=region_fingerprint(self.region),
            members=len(fitted.flow.members) if isinstance(fitted.flow, FlowEnsemble) else 1,
            epochs=len(result.history),
            kept_epoch=result.kept_epoch,
            loss=kept.loss if kept else None,
            held_out_loss=kept.held_out_loss if kept else None,
            interrupted=result.interrupted,
            seconds=round(seconds, 3),
            device=str(self.device),
            precision="bfloat16" if self.extraction.dtype == torch.bfloat16 else "float32",
        )
        self._write_manifest(self.extraction.features, record)

    def _write_manifest(self, features: int, record: TrainingRecord) -> None:
        self.manifest = Manifest(
            package_version=version("differnet"),
            created=datetime.now(timezone.utc).replace(microsecond=0),
            settings=self.settings,
            features=features,
            extractor_sha256=self._extractor_sha256,
            model_id=self._fingerprint(),
            training=record,
            recipe=self._recipe,
        )

    def _update_manifest(self, calibration: CalibrationRecord) -> None:
        if self.manifest is not None:
            self.manifest = self.manifest.model_copy(update={"calibration": calibration})

    def _fingerprint(self) -> str:
        """Of all that a raw score depends on."""
        digest = hashlib.sha256(f"{self.settings.model_dump_json()}{self._extractor_sha256}".encode())
        for name, tensor in sorted(self.flow.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
        if self._scale is not None and self._local is not None:
            digest.update(self._scale.usual.numpy().tobytes())
            for tensor in self._local.state().values():
                digest.update(tensor.cpu().contiguous().numpy().tobytes())
        if self.region is not None:
            digest.update(str(self.region.size).encode() + np.packbits(self.region.mask).tobytes())
        return digest.hexdigest()[:12]


def _usable(result: _Result | Failure) -> _Result:
    if isinstance(result, Failure):
        named = result.source in result.reason
        raise ImageError(result.reason if named else f"{result.source}: {result.reason}")
    return result


def _as_sources(images: GoodImages) -> list[ImageSource]:
    if isinstance(images, (str, os.PathLike)):
        return list(read_good_images(images).paths)
    if isinstance(images, (bytes, np.ndarray)):
        raise DatasetError("Several good images are needed, not one; give a list of arrays, a folder or paths.")
    return list(images)
