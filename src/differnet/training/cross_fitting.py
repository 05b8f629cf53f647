"""One flow, or one without each fold of the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from differnet.flow import FlowEnsemble, NormalizingFlow
from differnet.flow.build import build_flow
from differnet.scoring import score_features
from differnet.settings import Settings
from differnet.training.maximum_likelihood import TrainingResult, train_flow
from differnet.training.progress import EpochReport
from differnet.training.splits import fold_places
from differnet.training.vectors import BankVectors, VectorSource

__all__ = ["fit_folds", "fit_one"]


def fit_one(
    settings: Settings,
    vectors: VectorSource,
    watched: Tensor | None,
    *,
    device: torch.device,
    features: int,
    report: Callable[[EpochReport], None] = lambda report: None,
) -> tuple[NormalizingFlow, TrainingResult]:
    """Train one flow from its seed on.

    Args:
        settings: All settings.
        vectors: Gives the training vectors.
        watched: (M, V, d) features of held-out images; None for none.
        device: Where to train.
        features: d.
        report: Hears of the epochs.
    """
    # A generator of its own: the caller's random state is neither used nor changed.
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(settings.seed)
        flow = build_flow(features, settings.flow).to(device)
        if flow.whitening is not None:
            flow.whitening.fit(torch.cat([*vectors.epoch(0)]).to(device))
        result = train_flow(flow, vectors, watched, settings.training, report)
        if settings.flow.stored == "float16":
            flow.round_matrices()
        return flow, result


def fit_folds(
    settings: Settings,
    trained: Tensor,
    watched: Tensor,
    device: torch.device,
    report: Callable[[EpochReport], None] = lambda report: None,
) -> tuple[NormalizingFlow | FlowEnsemble, TrainingResult, Tensor]:
    """Train a flow without each fold.

    Args:
        settings: All settings.
        trained: (N, V, d) features of the training views.
        watched: (N, W, d) features of the fixed views.
        device: Where to train.
        report: Hears of the epochs of all trainings, counted as those of one.

    Returns:
        The ensemble, how the last training went, and the (N,) scores of the images by the flows that did not see
        them. After Ctrl-C the last finished or interrupted flow alone, with NaN for the scores of all but its own fold.
    """
    training, count = settings.training, len(trained)
    places = fold_places(count, settings)
    folds = len(places)
    scores = torch.full((count,), torch.nan)
    members: list[NormalizingFlow] = []
    result = TrainingResult()
    for fold in range(folds):
        unseen = torch.tensor(places[fold])
        seen = torch.ones(count, dtype=torch.bool)
        seen[unseen] = False

        def report_part(of_part: EpochReport, done: int = fold * training.epochs) -> None:
            report(replace(of_part, epoch=done + of_part.epoch, epochs=folds * training.epochs))

        vectors = BankVectors(trained[seen], batch_images=training.batch_images, seed=settings.seed)
        try:
            flow, result = fit_one(
                settings,
                vectors,
                watched[unseen],
                device=device,
                features=trained.shape[-1],
                report=report_part,
            )
        except KeyboardInterrupt:
            if not members:
                raise
            flow, result = members[-1], replace(result, interrupted=True)
        else:
            scores[unseen] = score_features(flow, watched[unseen], settings.scoring.aggregation)
            members.append(flow)
        if result.interrupted:
            previous = fold if len(members) > fold else fold - 1
            of_others = torch.ones(count, dtype=torch.bool)
            of_others[torch.tensor(places[previous])] = False
            return flow, result, scores.masked_fill(of_others, torch.nan)
    return (members[0] if folds == 1 else FlowEnsemble(members)).eval(), result, scores
