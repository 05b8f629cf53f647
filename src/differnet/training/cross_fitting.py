"""All images are trained on and all are scored: a flow learns without each fold of them, and scores the fold."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import closing
from dataclasses import asdict, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet.compute.threads import count_workers, map_ahead, workers_with_own_cores
from differnet.features import FeatureBank, FeatureExtraction, Sample
from differnet.features.reference import Reference, appearance
from differnet.flow import DensityEnsemble, DensityModel, build_density_model
from differnet.images import ImageSource, data_fingerprint
from differnet.localization.local_model import LocalModel
from differnet.scoring import score_features, scored_features
from differnet.settings import Settings
from differnet.training.cell_spool import CellSpool
from differnet.training.fitted import Fitted
from differnet.training.grouping import group_images
from differnet.training.local_fitting import LocalFitting, Measurement, join_scores
from differnet.training.maximum_likelihood import TrainingResult, fit_flow
from differnet.training.near_copies import NearCopies
from differnet.training.progress import EpochReport, Progress
from differnet.training.splits import check_readable, fold_places
from differnet.training.state import Part, PartState, TrainingState
from differnet.training.vectors import BankVectors, training_views
from differnet.views import fixed_views

__all__ = ["CrossFitting"]

# At a time: each takes a copy of the cells, 0.1 GB and more.
_MOST_FITS = 4
# Beside a flow's own tensors in the state of a training.
_SCORES = "scores of the fold"


class CrossFitting:
    """Fits to all images but those of a fold, for every fold, see `differnet.training.fitting.FittingStrategy`.

    All flows are kept as an ensemble. A new image is scored by every member and the mean is taken, a good image of the
    folds by the one member that did not see it. Both kinds of scores come from flows that saw as many images, so that
    their level is the same; that a mean of several spreads less is not seen in the rate (`benchmarks/coverage.py`). No
    theorem promises the stated rate itself (Vovk, "Cross-conformal predictors", 2015; Barber et al., "Predictive
    inference with the jackknife+", Annals of Statistics 2021: at most twice the rate, for a related procedure). An
    image's cells are compared with good cells chosen without its fold.

    Args:
        settings: All settings.
        extraction: The path from images to features.
        progress: Hears of the progress.
        state: Keeps how far it is.
    """

    def __init__(
        self, settings: Settings, extraction: FeatureExtraction, progress: Progress, state: TrainingState
    ) -> None:
        self._settings, self._extraction, self._progress, self._state = settings, extraction, progress, state

    def fit(self, sources: Sequence[ImageSource], labels: Sequence[Hashable] | None = None) -> Fitted:
        """Learn from good images, see `FittingStrategy.fit`."""
        cells = LocalFitting(self._settings, self._extraction, len(sources))
        seen = NearCopies() if self._settings.training.near_copies == "together" else None
        with CellSpool() as spool:
            places: list[int] = []
            read: list[int] = []
            looks: list[NDArray[np.float32]] = []

            def visit(image: Sample) -> None:
                read.append(image.index)
                looks.append(appearance(image.pixels))
                if seen is not None:
                    seen.add(image.pixels)
                cells.collect(image)
                if image.cells is not None:
                    spool.add(image.cells)
                    places.append(image.index)

            bank, trained, watched = self._features(sources, cells, visit)
            count = len(bank.sources)
            check_readable(count, len(sources), bank.failures)
            grouping = group_images(bank.sources, None if labels is None else [labels[place] for place in read], seen)
            folds = fold_places(grouping.groups, self._settings)
            reference = Reference.of(looks, bank.features[:, -len(fixed_views(self._settings.views))])
            local = cells.fit()
            # A fold by what it holds: of these images, those that were read, of them these.
            given = data_fingerprint(sources) if self._state.is_kept else ""
            states = [self._state.part("cells", given, read, fold) for fold in folds]
            measured = self._measure(cells, spool, places, folds, states)
        states = [self._state.part("flow", given, read, fold) for fold in folds]
        flow, result, scores = self._fit_folds(trained, watched, folds, states)
        # After Ctrl-C not all folds have a flow: the scores that there are, are held-out scores of the last one.
        scored = scores.isfinite()
        of_scored = [each for each, known in zip(measured, scored.tolist(), strict=True) if known] if measured else []
        scale, joined, peaks = join_scores(self._settings, scores[scored], of_scored)
        return Fitted(
            flow,
            result,
            images=count - count // len(folds) if result.interrupted else count,
            held_out_images=int(scored.sum()) if result.interrupted else 0,
            local=local,
            scale=scale,
            scores=joined,
            peaks=peaks,
            source="held-out" if result.interrupted else "cross-fitted",
            places=tuple(place for place, known in zip(read, scored.tolist(), strict=True) if known),
            names=tuple(name for name, known in zip(bank.sources, scored.tolist(), strict=True) if known),
            grouping=grouping.of(scored.nonzero().flatten().tolist()),
            reference=reference,
            failures=tuple(bank.failures),
        )

    def _features(
        self, sources: Sequence[ImageSource], cells: LocalFitting, visit: Callable[[Sample], None]
    ) -> tuple[FeatureBank, Tensor, Tensor]:
        """All images' features: the bank, of it (N, V, d) those to train on and (N, W, d) those of the fixed views."""
        settings, fixed = self._settings, fixed_views(self._settings.views)
        # Where both kinds of views are the same, one serves for both.
        shared = settings.scoring.aggregation == "features" or (
            settings.views.kind == "none" and not any(view.is_photometric for view in training_views(settings, 0))
        )
        bank = self._extraction.bank(
            sources,
            lambda index: fixed if shared else (*training_views(settings, index), *fixed),
            lambda done: self._progress.images("features", done, len(sources)),
            visit=visit,
            cells=cells.cells,
        )
        trained_views = 0 if shared else settings.views.training_count
        watched = scored_features(bank.features[:, trained_views:], settings.scoring.aggregation)
        return bank, watched if shared else bank.features[:, :trained_views], watched

    def _measure(
        self,
        cells: LocalFitting,
        spool: CellSpool,
        places: Sequence[int],
        folds: Sequence[Sequence[int]],
        states: Sequence[PartState],
    ) -> list[Measurement]:
        """Measure every image by good cells that were chosen without its fold.

        Leaving an image's cells out of the cells of all would not do: they stand in for cells of others that were not
        chosen because of them, so that the image would score higher than a new one like it.
        """
        measured: dict[int, Measurement] = {}
        if not places or cells.cells is None:
            return []
        workers = min(count_workers(), _MOST_FITS)
        left: list[tuple[Sequence[int], PartState]] = []
        for fold, state in zip(folds, states, strict=True):
            if (known := state.take()) is None:
                left.append((fold, state))
            else:
                measured |= {number: Measurement(*each) for number, each in zip(fold, known.record["of"], strict=True)}
        to_fit = [fold for fold, _ in left]

        def fit(fold: Sequence[int]) -> LocalModel | None:
            return cells.fit({places[number] for number in fold})

        # Side by side on a core each: threads of one call would wait for each other.
        with workers_with_own_cores(workers) as pool, closing(map_ahead(pool, fit, to_fit, workers)) as fitted:
            for (fold, state), local in zip(left, fitted, strict=True):
                if local is None:
                    break
                measure = cells.measure_by(local)
                for number in fold:
                    measured[number] = measure(spool[number])
                    self._progress.images("heat maps", len(measured), len(places))
                state.keep({"of": [measured[number] for number in fold]})
        return [measured[number] for number in sorted(measured)]

    def _fit_folds(
        self, trained: Tensor, watched: Tensor, places: Sequence[Sequence[int]], states: Sequence[PartState]
    ) -> tuple[DensityModel, TrainingResult, Tensor]:
        """Train a flow without each fold.

        Args:
            trained: (N, V, d) features of the training views.
            watched: (N, W, d) features of the fixed views.
            places: Of the images of each fold.
            states: Of each fold.

        Returns:
            The ensemble, how the last training went, and the (N,) scores of the images by the flows that did not see
            them. After Ctrl-C the last finished or interrupted flow alone, with NaN for the scores of all but its own
            fold.
        """
        settings, training, count = self._settings, self._settings.training, len(trained)
        folds = len(places)
        scores = torch.full((count,), torch.nan)
        members: list[DensityModel] = []
        result = TrainingResult()
        for fold in range(folds):
            unseen = torch.tensor(places[fold])
            seen = torch.ones(count, dtype=torch.bool)
            seen[unseen] = False

            def report_part(of_part: EpochReport, done: int = fold * training.epochs) -> None:
                # Counted as the epochs of one training.
                self._progress.epoch(replace(of_part, epoch=done + of_part.epoch, epochs=folds * training.epochs))

            if (known := states[fold].over()) is not None:
                flow, result, scores[unseen] = self._learnt(known, trained.shape[-1])
                members.append(flow)
                continue
            of_fold = trained[seen].to(self._extraction.device)
            vectors = BankVectors(of_fold, batch_images=training.batch_images, seed=settings.seed)
            try:
                flow, result = fit_flow(
                    settings,
                    vectors,
                    watched[unseen],
                    device=self._extraction.device,
                    features=trained.shape[-1],
                    report=report_part,
                    state=states[fold],
                )
            except KeyboardInterrupt:
                if not members:
                    raise
                flow, result = members[-1], replace(result, interrupted=True)
            else:
                scores[unseen] = score_features(flow, watched[unseen], settings.scoring.aggregation)
                members.append(flow)
                if not result.interrupted:
                    record = {"history": [asdict(each) for each in result.history], "kept_epoch": result.kept_epoch}
                    states[fold].keep(record, {**flow.state_dict(), _SCORES: scores[unseen]})
            if result.interrupted:
                previous = fold if len(members) > fold else fold - 1
                of_others = torch.ones(count, dtype=torch.bool)
                of_others[torch.tensor(places[previous])] = False
                return flow, result, scores.masked_fill(of_others, torch.nan)
        return (members[0] if folds == 1 else DensityEnsemble(members)).eval(), result, scores

    def _learnt(self, known: Part, features: int) -> tuple[DensityModel, TrainingResult, Tensor]:
        """A flow that was trained before this training was stopped, how that went, and its scores of its own fold."""
        tensors = dict(known.tensors)
        scores = tensors.pop(_SCORES)
        flow = build_density_model(features, self._settings.flow)
        flow.load_state_dict(tensors)
        history = [EpochReport(**each) for each in known.record["history"]]
        return (
            flow.to(self._extraction.device).eval(),
            TrainingResult(history, known.record["kept_epoch"]),
            scores,
        )
