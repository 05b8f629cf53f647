"""Learning from good images: features, flow, cells of good parts, and the scores that calibrate them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from differnet.calibration import Source, images_needed
from differnet.errors import DatasetError
from differnet.features import FeatureExtraction, ImageFeatures
from differnet.features.cells import CellGrids, CellProjection
from differnet.flow import FlowEnsemble, NormalizingFlow
from differnet.images import ImageSource
from differnet.images.failure import Failure, describe
from differnet.localization.local_model import CellCollector, LocalModel
from differnet.localization.localizer import Localizer
from differnet.scoring import CommonScale, local_score, score_features
from differnet.settings import Settings
from differnet.training.cell_spool import CellSpool
from differnet.training.cross_fitting import fit_folds, fit_one
from differnet.training.maximum_likelihood import TrainingResult
from differnet.training.progress import Progress
from differnet.training.splits import fold_places, split_held_out
from differnet.training.vectors import BankVectors, FreshVectors, VectorSource
from differnet.views import View, fixed_views, random_views

__all__ = ["Fitted", "Fitting"]


@dataclass
class Fitted:
    """What was learnt.

    Attributes:
        flow: The flow, or the ensemble of those that the folds gave.
        result: How its training went; of an ensemble, the last one's.
        images: Number of images that it was trained on.
        held_out_images: Number of images held out of that.
        local: Cells of good parts; None for models that map by gradient.
        scale: Joins the scores of flow and cells; None where the flow's alone counts.
        scores: float32 (n,) scores of good images by a flow that was not trained on them.
        peaks: float32 (n,) hottest raw map values of those images; empty for models that map by gradient.
        source: Where the scores came from.
        failures: Images that could not be used.
    """

    flow: NormalizingFlow | FlowEnsemble
    result: TrainingResult
    images: int
    held_out_images: int = 0
    local: LocalModel | None = None
    scale: CommonScale | None = None
    scores: Tensor = field(default_factory=lambda: torch.empty(0))
    peaks: Tensor = field(default_factory=lambda: torch.empty(0))
    source: Source = "held-out"
    failures: list[Failure] = field(default_factory=list)


@dataclass
class _Measured:
    """Local scores of images, and the hottest raw values of their maps."""

    scores: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)


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
        chosen = settings.localization
        described = chosen.method == "neighbours"
        self._cells = CellProjection(extraction.extractor, chosen.dimensions) if described else None

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
                    visit=lambda image: _collect(collector, image),
                    cells=self._cells,
                )
                _check_enough(len(described.sources), len(sources), described.failures)
        else:
            bank = self._extraction.bank(
                sources,
                self._training_views,
                lambda done: self._progress.images("features", done, len(sources)),
                names=names,
                visit=lambda image: _collect(collector, image),
                cells=self._cells,
            )
            failures += bank.failures
            _check_enough(len(bank.sources), len(sources), bank.failures)
            vectors = BankVectors(bank.features, batch_images=training.batch_images, seed=seed)
        local = None if collector is None else collector.fit()
        localizer = self._localizer(local)
        measured = _Measured()
        held_out_bank = self._extraction.bank(
            [every[i] for i in held_out],
            self._fixed,
            lambda done: self._progress.images("held-out features", done, len(held_out)),
            names=[describe(every[i], i) for i in held_out],
            visit=lambda image: self._measure(localizer, image.cells, measured),
            cells=self._cells,
        )
        failures += held_out_bank.failures
        if held_out and not held_out_bank.sources:
            raise DatasetError(f"None of the held-out images can be read: {held_out_bank.failures[0].reason}")
        flow, result = fit_one(
            self._settings,
            vectors,
            held_out_bank.features if held_out else None,
            device=self._extraction.device,
            features=self._extraction.features,
            report=self._progress.epoch,
        )
        if isinstance(vectors, FreshVectors):
            failures += vectors.failures.values()
        kept = len(held_out_bank.sources)
        scores = score_features(flow, held_out_bank.features, self._settings.scoring.aggregation) if kept else None
        scale, joined = self._join(scores, torch.tensor(measured.scores))
        return Fitted(
            flow,
            result,
            images=len(every) - len(failures) - kept,
            held_out_images=kept,
            local=local,
            scale=scale,
            scores=joined,
            peaks=torch.tensor(measured.peaks),
            failures=failures,
        )

    def _cross_fit(self, sources: Sequence[ImageSource]) -> Fitted:
        """Train a flow without each fold of the images, score the fold by it, and keep all flows as an ensemble.

        A new image is scored by every member and the mean is taken, a good image of the folds by the one member that
        did not see it. Both kinds of scores come from flows that saw as many images, so that their level is the
        same; that a mean of several spreads less is not seen in the rate (`benchmarks/coverage.py`). No
        theorem promises the stated rate itself (Vovk, "Cross-conformal predictors", 2015; Barber et al., "Predictive
        inference with the jackknife+", Annals of Statistics 2021: at most twice the rate, for a related procedure).
        An image's cells are compared with good cells chosen without its fold.
        """
        collector = self._collector(len(sources))
        shared = self._settings.views.kind == "none" and not any(
            view.is_photometric for view in self._training_views(0)
        )
        trained_views = 0 if shared else self._settings.views.training_count
        places: list[int] = []
        measured = _Measured()
        with CellSpool() as spool:

            def visit(image: ImageFeatures) -> None:
                _collect(collector, image)
                if image.cells is not None:
                    spool.add(image.cells)
                    places.append(image.index)

            bank = self._extraction.bank(
                sources,
                lambda index: self._fixed if shared else (*self._training_views(index), *self._fixed),
                lambda done: self._progress.images("features", done, len(sources)),
                visit=visit,
                cells=self._cells,
            )
            count = len(bank.sources)
            _check_enough(count, len(sources), bank.failures)
            local = None if collector is None else collector.fit()
            if collector is not None:
                measured = self._measure_folds(collector, spool, places)
        watched = bank.features[:, trained_views:]
        trained = watched if shared else bank.features[:, :trained_views]
        folds = min(self._settings.calibration.folds, count)
        flow, result, scores = fit_folds(
            self._settings, trained, watched, self._extraction.device, self._progress.epoch
        )
        # After Ctrl-C not all folds have a flow: the scores that there are, are held-out scores of the last one.
        scored = scores.isfinite()
        local_scores, peaks = torch.tensor(measured.scores), torch.tensor(measured.peaks)
        scale, joined = self._join(scores[scored], local_scores[scored] if len(local_scores) else local_scores)
        return Fitted(
            flow,
            result,
            images=count - count // folds if result.interrupted else count,
            held_out_images=int(scored.sum()) if result.interrupted else 0,
            local=local,
            scale=scale,
            scores=joined,
            peaks=peaks[scored] if len(peaks) else peaks,
            source="held-out" if result.interrupted else "cross-fitted",
            failures=bank.failures,
        )

    def _measure_folds(self, collector: CellCollector, spool: CellSpool, places: Sequence[int]) -> _Measured:
        """Measure every image by good cells that were chosen without its fold.

        Leaving an image's cells out of the cells of all would not do: they stand in for cells of others that were not
        chosen because of them, so that the image would score higher than a new one like it.
        """
        count = len(places)
        scores, peaks = [0.0] * count, [0.0] * count
        done = 0
        for fold in fold_places(count, self._settings):
            unseen = {places[number] for number in fold}
            localizer = self._localizer(collector.fit(unseen))
            for number in fold:
                measured = _Measured()
                self._measure(localizer, spool[number], measured)
                [scores[number]], [peaks[number]] = measured.scores, measured.peaks
                done += 1
                self._progress.images("heat maps", done, count)
        return _Measured(scores, peaks)

    def _join(self, scores: Tensor | None, local_scores: Tensor) -> tuple[CommonScale | None, Tensor]:
        if scores is None or not len(scores):
            return None, torch.empty(0)
        if not self._settings.scoring.local:
            return None, scores
        scale = CommonScale.fit(scores, local_scores)
        return scale, scale.join(scores, local_scores)

    def _measure(
        self,
        localizer: Localizer | None,
        cells: CellGrids | None,
        measured: _Measured,
    ) -> None:
        if localizer is None or cells is None:
            return
        anomaly = localizer.anomaly(cells.to(self._extraction.device))
        measured.scores.append(local_score(anomaly, self._settings.scoring.hottest))
        measured.peaks.append(localizer.peak(localizer.smooth(anomaly)))

    def _collector(self, images: int) -> CellCollector | None:
        cells = self._settings.localization.cells
        return None if self._cells is None else CellCollector(images, cells, self._settings.seed)

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


def _collect(collector: CellCollector | None, image: ImageFeatures) -> None:
    if collector is not None and image.cells is not None:
        collector.add(image.index, image.cells)


def _check_enough(readable: int, given: int, failures: Sequence[Failure]) -> None:
    if readable < 2:
        raise DatasetError(
            f"{readable} of {given} training images can be read, which is too few; the first problem: "
            f"{failures[0].reason}"
        )
