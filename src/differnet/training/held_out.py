"""Some images are held out of training: one flow learns from the others, and scores these."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from differnet.errors import DatasetError
from differnet.features import FeatureExtraction, Sample
from differnet.features.reference import Reference, appearance
from differnet.images import ImageSource, data_fingerprint
from differnet.images.failure import Failure, describe
from differnet.scoring import score_features, scored_features
from differnet.settings import Settings
from differnet.training.device_vectors import DeviceVectors, fits_device
from differnet.training.fitted import Fitted
from differnet.training.grouping import Grouping, group_images
from differnet.training.local_fitting import LocalFitting, Measurement, join_scores
from differnet.training.maximum_likelihood import fit_flow
from differnet.training.near_copies import NearCopies
from differnet.training.progress import EPOCH_IMAGES, Progress
from differnet.training.splits import check_readable, split_held_out
from differnet.training.state import TrainingState
from differnet.training.vectors import BankVectors, FreshVectors, VectorSource, training_views
from differnet.views import View, fixed_views

__all__ = ["HeldOutFitting"]


class HeldOutFitting:
    """Fits to all images but those held out, see `differnet.training.fitting.FittingStrategy`.

    The images held out also tell which epoch is the best.

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
        settings = self._settings
        grouping = self._grouping(sources, labels)
        chosen, held_out = split_held_out(len(sources), settings.training, settings.seed, grouping.groups)
        cells = LocalFitting(settings, self._extraction, len(chosen))
        failures: list[Failure] = []
        vectors = self._vectors(sources, chosen, cells, failures)
        local = cells.fit()
        measure = None if local is None else cells.measure_by(local)
        measured: list[Measurement] = []
        scored: list[int] = []
        looks: list[NDArray[np.float32]] = []

        def visit(image: Sample) -> None:
            scored.append(held_out[image.index])
            looks.append(appearance(image.pixels))
            if measure is not None and image.cells is not None:
                measured.append(measure(image.cells))

        bank = self._extraction.bank(
            [sources[i] for i in held_out],
            fixed_views(settings.views),
            lambda done: self._progress.images("held-out features", done, len(held_out)),
            names=[describe(sources[i], i) for i in held_out],
            visit=visit,
            cells=cells.cells,
        )
        failures += bank.failures
        if held_out and not bank.sources:
            raise DatasetError(f"None of the held-out images can be read: {bank.failures[0].reason}")
        given = data_fingerprint([sources[place] for place in chosen]) if self._state.is_kept else ""
        flow, result = fit_flow(
            settings,
            vectors,
            scored_features(bank.features, settings.scoring.aggregation) if held_out else None,
            device=self._extraction.device,
            features=self._extraction.features,
            report=self._progress.epoch,
            state=self._state.part("flow", given),
        )
        if isinstance(vectors, FreshVectors):
            failures += vectors.failures.values()
        kept = len(bank.sources)
        scores = score_features(flow, bank.features, settings.scoring.aggregation) if kept else torch.empty(0)
        scale, joined, peaks = join_scores(settings, scores, measured)
        return Fitted(
            flow,
            result,
            images=len(sources) - len(failures) - kept,
            held_out_images=kept,
            local=local,
            scale=scale,
            scores=joined,
            peaks=peaks,
            places=tuple(scored),
            names=tuple(bank.sources),
            grouping=grouping.of(scored),
            reference=Reference.of(looks, bank.features[:, 0]) if kept else None,
            failures=tuple(failures),
        )

    def _grouping(self, sources: Sequence[ImageSource], labels: Sequence[Hashable] | None) -> Grouping:
        """Which images belong together; to find near-copies before the split, all images are read once more."""
        training = self._settings.training
        names = [describe(source, place) for place, source in enumerate(sources)]
        if training.near_copies == "ignored" or training.held_out == 0.0:
            return group_images(names, labels)
        seen = NearCopies()
        for place, source in enumerate(sources):
            image = self._extraction.prepare(source, (), place, compute=False)
            # One that cannot be read is like no other, and left out later.
            seen.add(image.pixels if isinstance(image, Sample) else None)
            self._progress.images("comparing", place + 1, len(sources))
        return group_images(names, labels, seen)

    def _vectors(
        self, every: Sequence[ImageSource], chosen: Sequence[int], cells: LocalFitting, failures: list[Failure]
    ) -> VectorSource:
        """Where the vectors of the training images come from; their cells are collected on the way."""
        settings, training = self._settings, self._settings.training
        aggregation = settings.scoring.aggregation
        sources, names = [every[i] for i in chosen], [describe(every[i], i) for i in chosen]
        if training.views == "fresh":
            if cells.cells is not None:
                # Fresh views are drawn later, in the epochs; the cells are those of the images as they are.
                described = self._extraction.bank(
                    sources,
                    (View(),),
                    lambda done: self._progress.images("cells", done, len(sources)),
                    names=names,
                    visit=cells.collect,
                    cells=cells.cells,
                )
                check_readable(len(described.sources), len(sources), described.failures)
            kind = DeviceVectors if fits_device(self._extraction, len(sources)) else FreshVectors
            return kind(
                self._extraction,
                sources,
                settings.views,
                batch_images=training.batch_images,
                seed=settings.seed,
                names=names,
                progress=lambda done: self._progress.images(EPOCH_IMAGES, done, len(sources)),
            )
        bank = self._extraction.bank(
            sources,
            fixed_views(settings.views) if aggregation == "features" else lambda index: training_views(settings, index),
            lambda done: self._progress.images("features", done, len(sources)),
            names=names,
            visit=cells.collect,
            cells=cells.cells,
        )
        failures += bank.failures
        check_readable(len(bank.sources), len(sources), bank.failures)
        trained = scored_features(bank.features, aggregation)
        trained = trained.to(self._extraction.device)
        return BankVectors(trained, batch_images=training.batch_images, seed=settings.seed)
