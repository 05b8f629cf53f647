"""Learning from good images: features, flow, cells of good parts, and the scores that calibrate them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from differnet.calibration import Source, images_needed
from differnet.errors import DatasetError
from differnet.features import Failure, FeatureExtraction, ImageFeatures, describe
from differnet.flow import TWO_OVER_PI, NormalizingFlow
from differnet.images import ImageSource
from differnet.localization.local_model import CellCollector, LocalModel
from differnet.localization.localizer import Localizer
from differnet.official import OFFICIAL_CLAMP_FACTOR
from differnet.scoring import score_features
from differnet.settings import FlowSettings, Settings
from differnet.training import EpochReport, TrainingResult, split_held_out, train_flow
from differnet.training_vectors import BankVectors, FreshVectors, VectorSource
from differnet.views import View, fixed_views, random_views

__all__ = ["Fitted", "Fitting", "Progress", "build_flow"]


class Progress(Protocol):
    """Hears how long work goes on."""

    def images(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` images have passed a stage."""
        ...

    def epoch(self, report: EpochReport) -> None:
        """An epoch of training is over."""
        ...


@dataclass
class Fitted:
    """What was learnt.

    Attributes:
        flow: The flow.
        result: How its training went.
        images: Number of images that it was trained on.
        held_out_images: Number of images held out of that.
        local: Cells of good parts; None for models that map by gradient.
        scores: float32 (n,) scores of good images by a flow that was not trained on them.
        peaks: float32 (n,) hottest raw map values of those images; empty for models that map by gradient.
        source: Where the scores came from.
        failures: Images that could not be used.
    """

    flow: NormalizingFlow
    result: TrainingResult
    images: int
    held_out_images: int = 0
    local: LocalModel | None = None
    scores: Tensor = field(default_factory=lambda: torch.empty(0))
    peaks: Tensor = field(default_factory=lambda: torch.empty(0))
    source: Source = "held-out"
    failures: list[Failure] = field(default_factory=list)


def build_flow(features: int, settings: FlowSettings) -> NormalizingFlow:
    """Make a flow with fresh weights."""
    return NormalizingFlow(
        features,
        settings.blocks,
        settings.hidden,
        settings.clamp,
        clamp_factor=OFFICIAL_CLAMP_FACTOR if settings.official_clamp_factor else TWO_OVER_PI,
    )


class Fitting:
    """Fits a model to good images.

    Args:
        settings: All settings.
        extraction: The path from images to features.
        progress: Hears of the progress.
    """

    def __init__(self, settings: Settings, extraction: FeatureExtraction, progress: Progress) -> None:
        self._settings = settings
        self._extraction = extraction
        self._progress = progress
        self._fixed = fixed_views(settings.views)

    def run(self, sources: Sequence[ImageSource]) -> Fitted:
        """Learn from images.

        Raises:
            DatasetError: If there are too few good images.
            DivergenceError: If training does not converge.
        """
        training = self._settings.training
        chosen, held_out = split_held_out(len(sources), training, self._settings.seed)
        if self._cross_fits(len(sources), len(held_out)):
            return self._cross_fit(sources)
        return self._hold_out(sources, chosen, held_out)

    def _cross_fits(self, images: int, held_out: int) -> bool:
        calibration = self._settings.calibration
        if calibration.method == "auto" and self._settings.training.views == "bank":
            needed = images_needed(calibration.false_reject_rate)
            return held_out < needed <= images
        return calibration.method == "cross-fitted"

    def _hold_out(self, every: Sequence[ImageSource], chosen: Sequence[int], held_out: Sequence[int]) -> Fitted:
        training, seed = self._settings.training, self._settings.seed
        sources, names = [every[i] for i in chosen], [describe(every[i], i) for i in chosen]
        collector = self._collector(len(chosen))
        failures: list[Failure] = []
        vectors: VectorSource
        if training.views == "fresh":
            vectors = FreshVectors(
                self._extraction,
                sources,
                self._settings.views,
                batch_images=training.batch_images,
                seed=seed,
                names=names,
            )
            if collector is not None:
                # Fresh views are drawn later, in the epochs; the cells are those of the images as they are.
                described = self._extraction.bank(
                    sources,
                    (View(),),
                    lambda done: self._progress.images("cells", done, len(sources)),
                    names=names,
                    visit=self._collecting(collector),
                )
                _check_enough(len(described.sources), len(sources), described.failures)
        else:
            bank = self._extraction.bank(
                sources,
                self._training_views,
                lambda done: self._progress.images("features", done, len(sources)),
                names=names,
                visit=self._collecting(collector),
            )
            failures += bank.failures
            _check_enough(len(bank.sources), len(sources), bank.failures)
            vectors = BankVectors(bank.features, batch_images=training.batch_images, seed=seed)
        local = None if collector is None else collector.fit()
        localizer = self._localizer(local)
        peaks: list[float] = []

        def keep_peak(image: ImageFeatures) -> None:
            if localizer is not None:
                peaks.append(localizer.peak(localizer.raw_map(image.pixels, "neighbours")))

        held_out_bank = self._extraction.bank(
            [every[i] for i in held_out],
            self._fixed,
            lambda done: self._progress.images("held-out features", done, len(held_out)),
            names=[describe(every[i], i) for i in held_out],
            visit=keep_peak,
        )
        failures += held_out_bank.failures
        if held_out and not held_out_bank.sources:
            raise DatasetError(f"None of the held-out images can be read: {held_out_bank.failures[0].reason}")
        flow = self._new_flow()
        result = train_flow(flow, vectors, held_out_bank.features if held_out else None, training, self._progress.epoch)
        if isinstance(vectors, FreshVectors):
            failures += vectors.failures.values()
        kept = len(held_out_bank.sources)
        return Fitted(
            flow,
            result,
            images=len(every) - len(failures) - kept,
            held_out_images=kept,
            local=local,
            scores=self._score(flow, held_out_bank.features) if held_out else torch.empty(0),
            peaks=torch.tensor(peaks),
            failures=failures,
        )

    def _cross_fit(self, sources: Sequence[ImageSource]) -> Fitted:
        """Score every image by a flow that did not see it, then train on all of them for as many epochs as it took.

        The flows that calibrate saw fewer images than the one that is kept, so their scores of good images tend to be
        a little higher: the rate is kept on the safe side in practice, but no theorem says so (Barber et al.,
        "Predictive inference with the jackknife+", Annals of Statistics 2021, for what can be said).
        """
        training, seed = self._settings.training, self._settings.seed
        trained_views = self._settings.views.training_count
        collector = self._collector(len(sources))
        bank = self._extraction.bank(
            sources,
            lambda index: (*self._training_views(index), *self._fixed),
            lambda done: self._progress.images("features", done, len(sources)),
            visit=self._collecting(collector),
        )
        count = len(bank.sources)
        _check_enough(count, len(sources), bank.failures)
        trained, watched = bank.features[:, :trained_views], bank.features[:, trained_views:]
        local = None if collector is None else collector.fit()
        folds = min(self._settings.calibration.folds, count)
        order = np.random.default_rng([seed, 0]).permutation(count)
        scores, kept_epochs = torch.empty(count), []
        fitted: Fitted | None = None
        try:
            for fold in range(folds):
                seen_not = torch.from_numpy(np.sort(order[fold::folds]))
                seen = torch.ones(count, dtype=torch.bool)
                seen[seen_not] = False
                flow = self._new_flow()
                vectors = BankVectors(trained[seen], batch_images=training.batch_images, seed=seed)
                result = train_flow(flow, vectors, watched[seen_not], training, self._report_part(fold, folds + 1))
                scores[seen_not] = self._score(flow, watched[seen_not])
                kept_epochs.append(result.kept_epoch)
                fitted = Fitted(
                    flow,
                    result,
                    images=int(seen.sum()),
                    held_out_images=len(seen_not),
                    local=local,
                    scores=scores[seen_not],
                    failures=bank.failures,
                )
                if result.interrupted:
                    return fitted
            flow = self._new_flow()
            vectors = BankVectors(trained, batch_images=training.batch_images, seed=seed)
            # Watching ends with the folds: they have told how many epochs pay.
            schedule = training.model_copy(
                update={"epochs": max(1, round(statistics.median(kept_epochs))), "keep": "last", "patience": 0}
            )
            result = train_flow(flow, vectors, None, schedule, self._report_part(folds, folds + 1))
            fitted = Fitted(
                flow,
                result,
                images=count,
                local=local,
                scores=scores,
                source="cross-fitted",
                failures=bank.failures,
            )
            fitted.peaks = self._peaks_without_each(sources, local)
        except KeyboardInterrupt:
            # What is finished is kept: the last fold's flow with the scores of what it did not see, or the final one.
            if fitted is None:
                raise
            fitted.result.interrupted = True
        return fitted

    def _peaks_without_each(self, sources: Sequence[ImageSource], local: LocalModel | None) -> Tensor:
        localizer = self._localizer(local)
        if localizer is None:
            return torch.empty(0)
        peaks = []
        for result in self._extraction.stream(sources, (View(),)):
            if not isinstance(result, Failure):
                raw = localizer.raw_map(result.pixels, "neighbours", without_image=result.index)
                peaks.append(localizer.peak(raw))
            self._progress.images("heat maps", len(peaks), len(sources))
        return torch.tensor(peaks)

    def _collector(self, images: int) -> CellCollector | None:
        chosen = self._settings.localization
        if chosen.method != "neighbours":
            return None
        self._describer = Localizer(self._extraction, self._fixed, chosen.dimensions, region=self._extraction.region)
        return CellCollector(images, chosen.cells, self._settings.seed)

    def _collecting(self, collector: CellCollector | None) -> Callable[[ImageFeatures], None]:
        def visit(image: ImageFeatures) -> None:
            if collector is not None:
                collector.add(image.index, self._describer.cells(image.pixels))

        return visit

    def _localizer(self, local: LocalModel | None) -> Localizer | None:
        if local is None:
            return None
        return Localizer(
            self._extraction,
            self._fixed,
            self._settings.localization.dimensions,
            local=local.to(self._extraction.device),
            region=self._extraction.region,
        )

    def _training_views(self, index: int) -> tuple[View, ...]:
        views = self._settings.views
        return random_views(views, views.training_count, np.random.default_rng([self._settings.seed, 1, index]))

    def _new_flow(self) -> NormalizingFlow:
        # A generator of its own: the caller's random state is neither used nor changed.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._settings.seed)
            return build_flow(self._extraction.features, self._settings.flow).to(self._extraction.device)

    def _score(self, flow: NormalizingFlow, features: Tensor) -> Tensor:
        return score_features(flow, features, self._settings.scoring.aggregation)

    def _report_part(self, part: int, parts: int) -> Callable[[EpochReport], None]:
        """Count the epochs of several trainings as those of one."""
        epochs = self._settings.training.epochs

        def report(of_part: EpochReport) -> None:
            self._progress.epoch(replace(of_part, epoch=part * epochs + of_part.epoch, epochs=parts * epochs))

        return report


def _check_enough(readable: int, given: int, failures: Sequence[Failure]) -> None:
    if readable < 2:
        raise DatasetError(
            f"{readable} of {given} training images can be read, which is too few; the first problem: "
            f"{failures[0].reason}"
        )
