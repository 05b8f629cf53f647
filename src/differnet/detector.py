"""DifferNet: fit on good images, calibrate, inspect, explain, save, load. The public face of the package."""

from __future__ import annotations

import html
import logging
import os
import warnings
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import Self

from differnet.calibration import Calibration, Tail, calibrate, images_needed, set_by_hand
from differnet.compute.devices import choose_device, choose_dtype
from differnet.errors import (
    CalibrationError,
    DatasetError,
    ImageError,
    ModelFileError,
    NotFittedError,
    UncalibratedWarning,
)
from differnet.extractors import CustomExtractor, Weights, check_own, own_extractor_settings, provide_extractor
from differnet.features import Engine, FeatureExtraction, Sample
from differnet.features.cache import FeatureCache
from differnet.flow import DensityModel, build_density_model
from differnet.images import (
    DecodedImage,
    GivenImage,
    GivenImages,
    HashedFile,
    ImageSource,
    PixelScale,
    RegionOfInterest,
    TrainingLook,
    image_sources,
    local_path,
    read_good_images,
)
from differnet.images.failure import Failure, describe
from differnet.inspection.drift import DriftMonitor, DriftReport
from differnet.inspection.explaining import explain_stream
from differnet.inspection.explanation import Explanation
from differnet.inspection.inspection import Inspection
from differnet.inspection.measuring import Measured, measure_images
from differnet.inspection.observations import Observations
from differnet.inspection.verdict import Verdict
from differnet.inspection.verdicts import Verdicts
from differnet.localization.localizer import Localizer
from differnet.model_file.fitted_model import FittedModel
from differnet.model_file.manifest import Manifest, TrainingRecord
from differnet.model_file.official import read_official_flow
from differnet.model_file.signing import TrustedKeys
from differnet.model_file.tensors import Parts
from differnet.settings import Settings, preset
from differnet.training.contents import order_of_contents
from differnet.training.fit_model import fit_model
from differnet.training.progress import Progress, usual_listener
from differnet.training.size_choice import choose_size
from differnet.training.state import TrainingState
from differnet.training.view_choice import ViewDecision
from differnet.views import Tiling

__all__ = ["DifferNet", "GoodImages"]

GoodImages: TypeAlias = str | os.PathLike[str] | Iterable[GivenImages]
"""Good images: a product or plain folder, a list file, or any number of images in any form, see `image_sources`."""

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


class DifferNet:
    """Learns what good parts look like, tells how far an image is from that, decides, and shows where.

    Rudolph, Wandt, Rosenhahn: "Same Same But DifferNet: Semi-Supervised Defect Detection with Normalizing Flows",
    WACV 2021.

    Args:
        settings: A preset's name (``default``, ``fast`` or ``paper``) or settings of your own.
        region: Which pixels count; scores, maps and training see nothing else. All images must have its size.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``.
        weights: The extractor's pretrained weights, or the file or folder that holds them; None searches for them,
            see `differnet.extractors.weights`.
        cache: Folder where features are kept from one training to the next, see `differnet.features.cache`; None keeps
            none.
        recipe: Text of the recipe that the settings come from, kept in the model file.
        engine: What runs the extractor on a CPU, see `FeatureExtraction`.
        extractor: A network of your own instead of the one that the settings name, which then name it.

    Attributes:
        device: Where the networks run.
        failures: Images of the last `fit` or `calibrate` that could not be used.
        view_decision: How `fit` chose the views; None unless it was asked to, by ``views.kind=auto``.

    A model can be pickled, deep-copied and sent to another process at any time; the copy finds the extractor's weights
    anew when it first needs them.

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
        extractor: CustomExtractor | None = None,
    ) -> None:
        self._recipe, self._engine = recipe, engine
        self._cache = None if cache is None else FeatureCache(cache)
        chosen = preset(settings) if isinstance(settings, str) else settings
        self._given = own_extractor_settings(chosen, extractor)
        self._own_extractor = extractor
        self._region = region
        self._weights = weights
        self.device = choose_device(device)
        self.failures: list[Failure] = []
        self.view_decision: ViewDecision | None = None
        self._fitted: FittedModel | None = None
        self._extraction: FeatureExtraction | None = None
        self._extractor_sha256 = ""
        self._localizer: Localizer | None = None
        self._monitor: DriftMonitor | None = None
        self._state: TrainingState | None = None

    @property
    def fitted(self) -> FittedModel:
        """What was learnt; it never changes, `fit` and `calibrate` put another in its place.

        Raises:
            NotFittedError: If the model was neither fitted nor loaded.
        """
        if self._fitted is None:
            raise NotFittedError("The model has not learnt anything yet; call fit() or load() first.")
        return self._fitted

    @property
    def settings(self) -> Settings:
        """All settings: those that the model was fitted with, or is to be fitted with."""
        return self._given if self._fitted is None else self._fitted.settings

    @property
    def region(self) -> RegionOfInterest | None:
        """The region of interest, None for whole images."""
        return self._region

    @property
    def pixel_scale(self) -> PixelScale | None:
        """What becomes black and white of pixels of more than eight bits, as `load_image` takes it."""
        return None if self._fitted is None else self._fitted.pixel_scale

    @property
    def manifest(self) -> Manifest | None:
        """What the model file says of this model; None until fitted."""
        return None if self._fitted is None else self._fitted.manifest

    @property
    def calibration(self) -> Calibration | None:
        """The threshold; None until there is one."""
        return None if self._fitted is None else self._fitted.calibration

    @property
    def held_out_scores(self) -> Tensor:
        """float32 (n,) scores of good images that the flow which gave them was not trained on."""
        return torch.empty(0) if self._fitted is None else self._fitted.scores

    @property
    def flow(self) -> DensityModel:
        """The normalizing flow, an ensemble of them, or another density model.

        Raises:
            NotFittedError: If the model was neither fitted nor loaded.
        """
        return self.fitted.flow

    @property
    def extraction(self) -> FeatureExtraction:
        """The path from images to features; the extractor's weights are loaded on first use.

        Raises:
            WeightsError: If the weights are not found, or not those that the model was trained with.
        """
        if self._extraction is None:
            self._extraction, self._extractor_sha256 = self._make_extraction(self.settings, self._fitted)
        return self._extraction

    @property
    def inspection(self) -> Inspection:
        """What gives verdicts with the model as it is now.

        Raises:
            NotFittedError: If the model was neither fitted nor loaded.
        """
        if self._monitor is None:
            self._monitor = DriftMonitor(self.fitted.reference)
        inspection = Inspection(self.fitted, self.extraction, self._localizer, self._monitor)
        self._localizer = inspection.localizer
        return inspection

    @property
    def drift(self) -> DriftReport:
        """What the images inspected so far, by this model and threshold, have unlike those of the training."""
        return DriftReport(0) if self._monitor is None else self._monitor.report(self.calibration)

    def take_observations(self) -> Observations:
        """What `drift` is told of, to be put together with that of other processes; it is forgotten here."""
        return Observations() if self._monitor is None else self._monitor.take()

    def fit(
        self,
        images: GoodImages,
        listener: Progress | None = None,
        *,
        groups: Sequence[Hashable] | None = None,
        state: TrainingState | None = None,
    ) -> DifferNet:
        """Learn from images of good parts, and calibrate as the settings say.

        Ctrl-C during training keeps the best state so far; ``manifest.training.interrupted`` tells. Images that
        cannot be read are left out and listed in `failures`. With too few images for the rate of the settings the
        model is left without a threshold, with an `UncalibratedWarning`; `uncalibrated_reason` tells. What is learnt
        depends on the images' pixels, not on their names and order.

        Args:
            images: A product's folder, a plain folder, a list file, or images as `image_sources` takes them.
            listener: Hears of the progress; in notebooks a bar shows it by itself.
            groups: For each image, in their order, what it belongs to, such as its part's number: images of a group are
                learnt from together or not at all, and count once for the threshold. Near-copies are found without.
            state: Keeps in a file how far the training is, and goes on where one was stopped; `save` removes the file,
                unless the training was interrupted.

        Returns:
            The model itself; as it was before, if this fails.

        Raises:
            DatasetError: If there are too few good images, or not as many groups.
            WeightsError: If the extractor's weights are not found.
            DivergenceError: If training does not converge.
            ResumeError: If the training is to go on with a state that is damaged, or that of another training.
        """
        given = [HashedFile(each) if isinstance(each, (str, os.PathLike)) else each for each in _as_sources(images)]
        if groups is not None and len(groups) != len(given):
            raise DatasetError(f"There are {len(groups)} groups for {len(given)} images; give one for each.")
        look = TrainingLook(given)
        order = order_of_contents(given, look.scale)
        sources = [given[place] for place in order]
        settings = self._given.model_copy(update={"views": choose_size(sources, self._given.views, self.region)})
        extraction, sha256 = self._extraction_to_fit(settings)
        outcome = fit_model(
            settings,
            extraction,
            sources,
            listener or usual_listener(),
            extractor_sha256=sha256,
            names=[describe(given[place], place) for place in order],
            look=look,
            recipe=self._recipe,
            labels=None if groups is None else [groups[place] for place in order],
            state=state,
        )
        self._state = state
        self._fitted, self._localizer, self._monitor = outcome.model, None, None
        self._extraction, self._extractor_sha256 = extraction.on_scale(outcome.model.pixel_scale), sha256
        place_of = {describe(source, place): place for place, source in enumerate(given)}
        self.failures = sorted(outcome.failures, key=lambda failure: place_of.get(failure.source, len(given)))
        self.view_decision = outcome.view_decision
        if self.calibration is None and settings.calibration.method != "none":
            warnings.warn(self.uncalibrated_reason, UncalibratedWarning, stacklevel=2)
        _log.info("fitted on %d images, %d could not be used", len(sources) - len(self.failures), len(self.failures))
        return self

    @property
    def uncalibrated_reason(self) -> str:
        """Why there is no threshold, and what to do; empty if there is one."""
        if self.calibration is not None:
            return ""
        rate = self.settings.calibration.false_reject_rate
        if self.settings.calibration.method == "none" or (self._fitted is not None and self._fitted.is_imported):
            why = "training was not asked for a threshold"
        else:
            why = (
                f"a false-reject rate of {rate:g} takes {images_needed(rate)} good images, and "
                f"{len(self.held_out_scores)} are at hand"
            )
        return f"The model has no threshold: {why}. Run 'differnet calibrate MODEL GOOD_IMAGES' with images of its own."

    def calibrate(
        self,
        images: GoodImages | Measured | None = None,
        *,
        false_reject_rate: float = 0.05,
        review_rate: float | None = None,
        tail: Tail = "conformal",
        keep_scores: bool = False,
        threshold: float | None = None,
        listener: Progress | None = None,
    ) -> Calibration:
        """Set the threshold, and the scale of heat maps, from good images alone.

        Args:
            images: Good images that training did not see, or what was measured of them; None takes the scores that
                training kept for this.
            false_reject_rate: Share of good parts that may be refused, in (0, 1).
            review_rate: Share of good parts that may be refused or sent to review; None for no review.
            tail: See `differnet.calibration.calibrate`.
            keep_scores: Add the images to those that the model was calibrated by so far, instead of replacing them.
            threshold: A raw threshold by hand instead of one for a rate: what scores above it is refused. The record's
                source is then ``by-hand``, and the scores are for p-values alone.
            listener: Hears of the progress.

        Returns:
            The calibration, also kept in `calibration`; the old one stays if this fails.

        Raises:
            NotFittedError: If the model was neither fitted nor loaded.
            SettingsError: If a rate is not allowed.
            CalibrationError: If the images are too few for the rate.
            DatasetError: If no image can be read.
        """
        model = self.fitted
        scores, peaks, source = model.scores, model.peaks, model.source
        failures = self.failures
        if images is not None:
            kept = len(scores) if keep_scores else 0
            if isinstance(images, Measured):
                measured = images
            else:
                sources, hears = _as_sources(images), listener or usual_listener()
                # Reading the images may take long: what as many made-up scores would be refused for is told before.
                if threshold is None:
                    calibrate(np.arange(kept + len(sources)), false_reject_rate, review_rate, tail)
                measured = measure_images(
                    self.inspection, sources, lambda done: hears.images("calibration", done, len(sources))
                )
            failures = measured.failures
            if kept:
                scores, peaks = torch.cat([scores, measured.scores]), torch.cat([peaks, measured.peaks])
            else:
                scores, peaks, source = measured.scores, measured.peaks, "images"
        elif not len(scores) and threshold is None:
            raise CalibrationError("Training held no images out; give good images that it did not see.")
        values = scores.double().numpy()
        if threshold is not None:
            calibration = set_by_hand(values, threshold, false_reject_rate)
        else:
            calibration = calibrate(values, false_reject_rate, review_rate, tail)
        self._fitted, self.failures = model.calibrated(calibration, scores, peaks, source=source), failures
        self._monitor = None
        _log.info("calibrated by %d scores, threshold %g", len(scores), calibration.threshold)
        return calibration

    def score(self, images: GivenImages) -> NDArray[np.float32]:
        """Score images by all their views.

        Args:
            images: One or several, or folders of them, in any form; see `image_sources`.

        Returns:
            float32 (N,), higher is more anomalous.

        Raises:
            ImageError: If an image cannot be used; `inspect_stream` goes on instead.
        """
        results = self.inspect_stream(images, all_views=True)
        return np.array([_usable(result).score for result in results], np.float32)

    def inspect(self, image: GivenImage) -> Verdict:
        """Give the verdict on one image.

        Args:
            image: A path, an array, a tensor, or an image of Pillow; see `image_sources`.

        Raises:
            ImageError: If the image cannot be used.
        """
        return _usable(next(self.inspection.stream([_only(image)])))

    def inspect_many(self, images: GivenImages, *, all_views: bool = False) -> Verdicts:
        """Give the verdicts on images, all at once.

        Args:
            images: One or several, or folders of them, in any form; see `image_sources`.
            all_views: See `inspect_stream`.

        Returns:
            In their order, the verdict on an image or why there is none; `Verdicts.to_dataframe` makes a table of them.

        Raises:
            NotFittedError: If the model was neither fitted nor loaded.
        """
        return Verdicts(self.inspect_stream(images, all_views=all_views))

    def inspect_stream(self, images: GivenImages, *, all_views: bool = False) -> Iterator[Verdict | Failure]:
        """Give the verdicts on images one after the other, as they come.

        Args:
            images: Any number, in any form; see `image_sources`. Consumed as needed.
            all_views: Score by all views; else no more of them are computed than settle the decision, see
                `differnet.scoring.sequential`.

        Returns:
            In the order of the input, the verdict on an image or why there is none.

        Raises:
            NotFittedError: If the model was neither fitted nor loaded.
        """
        return self.inspection.stream(image_sources(images), all_views=all_views)

    def prepare(self, image: GivenImage) -> Sample | Failure:
        """Do for an image what is done for each by itself, for `inspect_prepared`.

        With these two, programs where images come from many sides at any time do what `inspect_stream` does for a
        list. On a CPU the network is a part of this one; it is quickest called from as many threads as there are
        cores, each with ``torch.set_num_threads(1)``.

        Args:
            image: A path or an array.

        Raises:
            NotFittedError: If the model was neither fitted nor loaded.
        """
        return self.inspection.prepare(_only(image))

    def inspect_prepared(self, images: Sequence[Sample | Failure]) -> list[Verdict | Failure]:
        """Give the verdicts on prepared images, quickest for several at once.

        Args:
            images: What `prepare` of this model returned.

        Returns:
            In their order, the verdict on an image or why there is none.
        """
        return self.inspection.judge_prepared(images)

    def explain(self, image: GivenImage, method: str | None = None) -> NDArray[np.float32]:
        """Compute the heat map of one image; `explain_many` also gives verdict, regions and pictures.

        Args:
            image: As for `inspect`.
            method: ``gradient`` for the paper's (section 3.4); None for the model's own, see `LOCALIZATION_METHODS`.

        Returns:
            float32 (height, width) in the image's own size, >= 0; see `Explanation.heat` for the scale.

        Raises:
            ImageError: If the image cannot be used.
        """
        return _usable(next(explain_stream(self.inspection, [_only(image)], method))).heat

    def explain_many(self, images: GivenImages, method: str | None = None) -> list[Explanation]:
        """Explain images, all at once, each with the image itself: `Explanation.save`, `plot` and `overlay` draw it.

        Args:
            images: One or several, or folders of them, in any form; see `image_sources`.
            method: As for `explain`.

        Raises:
            ImageError: If an image cannot be used; `explain_stream` goes on instead.
        """
        return [_usable(result) for result in self.explain_stream(images, method, with_images=True)]

    def explain_stream(
        self, images: GivenImages, method: str | None = None, *, with_images: bool = False
    ) -> Iterator[Explanation | Failure]:
        """Explain images one after the other, as they come.

        Args:
            images: Any number, in any form; see `image_sources`. Consumed as needed.
            method: As for `explain`.
            with_images: Whether the explanations are to hold the images themselves, to draw maps over.

        Returns:
            In the order of the input, verdict, heat map and regions of an image, or why there are none.

        Raises:
            SettingsError: If there is no such method.
        """
        return explain_stream(self.inspection, image_sources(images), method, with_images=with_images)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file; see `differnet.model_file.bundle`.

        Raises:
            NotFittedError: If there is nothing to save.
            OutputError: If the file cannot be written.
        """
        self.fitted.save(path)
        if self._state is not None and not self.fitted.manifest.training.interrupted:
            self._state.remove()
            self._state = None
        _log.info("saved %s", path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        device: str = "auto",
        weights: str | os.PathLike[str] | Weights | None = None,
        engine: Engine = "auto",
        extractor: CustomExtractor | None = None,
        trusted: TrustedKeys | None = None,
    ) -> DifferNet:
        """Read a model file; nothing in it is executed.

        Args:
            path: A file that `save` wrote.
            device: As for the constructor.
            weights: As for the constructor.
            engine: As for the constructor.
            extractor: The network of your own that the model was trained with.
            trusted: Keys of which one must have signed the file; None takes any.

        Raises:
            ModelFileError: If the file is missing, damaged, foreign, of another format version, or not signed by a
                trusted key.
            WeightsError: If the model was trained with an extractor of your own, and this is not it.
        """
        found = FittedModel.load(path, choose_device(device), trusted=trusted)
        check_own(found.settings.extractor.name, found.manifest.extractor_sha256, extractor, path)
        model = cls(
            found.settings, region=found.region, device=device, weights=weights, engine=engine, extractor=extractor
        )
        model._fitted = found
        _log.info("loaded %s, model %s", path, found.manifest.model_id)
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
        flow = build_density_model(shape.features, settings.flow)
        flow.load_state_dict(state, strict=False)
        if shape.features != model.extraction.features:
            raise ModelFileError(
                f"{path}: its flow takes {shape.features} features, AlexNet at three scales gives "
                f"{model.extraction.features}; only models of the official default settings can be imported."
            )
        parts = Parts(flow.to(model.device), torch.empty(0), torch.empty(0), None, None, None, None)
        model._fitted = FittedModel.describe(
            settings,
            parts,
            features=shape.features,
            extractor_sha256=model._extractor_sha256,
            training=TrainingRecord(origin="official"),
        )
        return model

    def with_model(self, model: FittedModel, device: str = "auto") -> Self:
        """Another detector with the same weights and engine, for a model that was made from this one's.

        Args:
            model: What it has learnt.
            device: As for the constructor.
        """
        other = type(self)(
            model.settings,
            region=model.region,
            device=device,
            weights=self._weights,
            engine=self._engine,
            extractor=self._own_extractor,
        )
        other._fitted = model.to(other.device)
        return other

    def _extraction_to_fit(self, settings: Settings) -> tuple[FeatureExtraction, str]:
        """The path from images to features that `fit` takes, and the fingerprint of the extractor's weights.

        A model that was loaded computes in the precision that it was trained in, and by the weights that it was trained
        with; one that is to be fitted, by those of its settings.
        """
        views, own = settings.views, self._extraction
        wanted = choose_dtype(settings.extractor.precision, self.device), views.size, Tiling.of(views.tiles, views.size)
        if own is not None and (own.dtype, own.size, own.tiling) == wanted:
            return own, self._extractor_sha256
        return self._make_extraction(settings, None)

    def _make_extraction(self, settings: Settings, fitted: FittedModel | None) -> tuple[FeatureExtraction, str]:
        chosen = settings.extractor
        extractor, sha256 = provide_extractor(
            settings,
            own=self._own_extractor,
            weights=self._weights,
            sha256=None if fitted is None else fitted.manifest.extractor_sha256,
        )
        precision = chosen.precision
        if fitted is not None and not fitted.is_imported:
            # What it computed in when it was trained, or the threshold would not hold.
            precision = fitted.manifest.training.precision
        extraction = FeatureExtraction(
            extractor,
            size=settings.views.size,
            view_size=settings.views.flow_side,
            tiling=Tiling.of(settings.views.tiles, settings.views.size),
            scales=chosen.scales,
            device=self.device,
            dtype=choose_dtype(precision, self.device),
            region=self.region,
            stages=chosen.stages,
            deviation=chosen.deviation,
            cache=self._cache,
            fingerprint=sha256,
            scale=None if fitted is None else fitted.pixel_scale,
            engine=self._engine,
        )
        if fitted is not None and fitted.flow.features != extraction.features:
            raise ModelFileError(
                f"The model's flow takes {fitted.flow.features} features, and by its settings an image has "
                f"{extraction.features}: it is damaged; copy it again, or train it again."
            )
        return extraction, sha256

    def __repr__(self) -> str:
        return f"DifferNet({', '.join(f'{name}={value}' for name, value in self._facts().items())})"

    def _repr_html_(self) -> str:
        rows = (f"<tr><th>{name}</th><td>{html.escape(str(value))}</td></tr>" for name, value in self._facts().items())
        return f"<table><tr><th colspan='2'>DifferNet</th></tr>{''.join(rows)}</table>"

    def _facts(self) -> dict[str, object]:
        """What tells this model from others, for people."""
        facts: dict[str, object] = {"extractor": self.settings.extractor.name, "device": self.device}
        if self.manifest is None:
            return {**facts, "fitted": False}
        facts |= {"images": self.manifest.training.images, "model_id": self.manifest.model_id}
        if self.calibration is None:
            return {**facts, "threshold": None}
        rate = self.calibration.false_reject_rate
        return {**facts, "threshold": round(self.calibration.threshold, 4), "false_reject_rate": rate}

    def __getstate__(self) -> dict[str, Any]:
        # Networks, compiled graphs and their locks are made anew where they are needed.
        return {**self.__dict__, "_extraction": None, "_localizer": None, "_monitor": None, "_state": None}


def _usable(result: _Result | Failure) -> _Result:
    if isinstance(result, Failure):
        raise ImageError(str(result))
    return result


def _only(image: GivenImage) -> ImageSource:
    """A single image; a folder is none, which is said when it is read."""
    if isinstance(image, (str, os.PathLike)):
        return local_path(image)
    sources = [*image_sources(image)]
    if len(sources) != 1:
        raise ImageError(f"One image is needed, not {len(sources)}; inspect_many and explain_many take several.")
    return sources[0]


def _as_sources(images: GoodImages) -> list[ImageSource]:
    if isinstance(images, (str, os.PathLike)):
        return list(read_good_images(local_path(images)).paths)
    sources = [*image_sources(images)]
    one = isinstance(images, (bytes, DecodedImage)) or not isinstance(images, (Sequence, Iterator))
    if one and len(sources) == 1:
        raise DatasetError("Several good images are needed, not one; give a list of arrays, a folder or paths.")
    return sources
