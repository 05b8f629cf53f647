"""Does a threshold keep its promise on real parts? ``python -m benchmarks.coverage``.

Of the functional monocrystalline cells of ``elpv-dataset`` 300 are learnt from, threshold included; the others, which
neither training nor calibration saw, are decided on. Their share of refusals should lie within the binomial interval
around the stated rate. Features are computed once; every seed draws other cells and trains anew.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import torch
from scipy.stats import binom

from differnet import DifferNet
from differnet.calibration import calibrate
from differnet.demo.cells import TRAINING_CELLS, find_dataset
from differnet.fitting import build_flow
from differnet.scoring import score_features
from differnet.settings import preset
from differnet.training import split_held_out, train_flow
from differnet.training_vectors import BankVectors
from differnet.views import fixed_views

RATES = (0.05, 0.10)


def main() -> None:
    """Print the observed false-reject rates."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="number of choices of cells")
    parser.add_argument("--cross-fitted", action="store_true", help="calibrate on all 300 cells, by five-fold fitting")
    arguments = parser.parse_args()
    dataset = find_dataset()
    rows = [line.split() for line in (dataset / "labels.csv").read_text(encoding="utf-8").splitlines()]
    good = [dataset / name for name, probability, kind in rows if kind == "mono" and float(probability) == 0.0]
    settings = preset("default")
    model = DifferNet(settings)
    # The default's training views are all of the fixed views, in another order, which the flow does not see.
    features = model.extraction.bank(good, fixed_views(settings.views)).features
    sys.stdout.write(f"{len(good)} functional cells, {TRAINING_CELLS} to learn from, rest to decide on\n")
    for seed in range(arguments.seeds):
        order = torch.from_numpy(np.random.RandomState(seed).permutation(len(good)))
        known, unseen = features[order[:TRAINING_CELLS]], features[order[TRAINING_CELLS:]]
        fit = _cross_fitted if arguments.cross_fitted else _held_out
        calibration_scores, scores = fit(known, unseen, seed)
        for rate in RATES:
            threshold = calibrate(calibration_scores, rate).threshold
            refused = int((scores > threshold).sum())
            low, high = binom.interval(0.95, len(scores), rate)
            inside = "inside" if low <= refused <= high else "OUTSIDE"
            sys.stdout.write(
                f"seed {seed}, stated {rate:.2f}: refused {refused} of {len(scores)} = {refused / len(scores):.3f}, "
                f"{inside} the 95 % interval {low:.0f} to {high:.0f}\n"
            )
        sys.stdout.flush()


def _held_out(known: torch.Tensor, unseen: torch.Tensor, seed: int) -> tuple[np.ndarray, np.ndarray]:
    chosen, held_out = split_held_out(len(known), preset("default").training, seed)
    flow, _ = _train(known[chosen], known[held_out], seed, None)
    return _score(flow, known[held_out]), _score(flow, unseen)


def _cross_fitted(known: torch.Tensor, unseen: torch.Tensor, seed: int) -> tuple[np.ndarray, np.ndarray]:
    folds = preset("default").calibration.folds
    order = np.random.default_rng([seed, 0]).permutation(len(known))
    scores, epochs = [], []
    for fold in range(folds):
        held_out = np.isin(np.arange(len(known)), order[fold::folds])
        flow, kept = _train(known[~held_out], known[held_out], seed, None)
        scores.append(_score(flow, known[held_out]))
        epochs.append(kept)
    flow, _ = _train(known, None, seed, max(1, round(float(np.median(epochs)))))
    return np.concatenate(scores), _score(flow, unseen)


def _train(
    known: torch.Tensor, held_out: torch.Tensor | None, seed: int, epochs: int | None
) -> tuple[torch.nn.Module, int]:
    settings = preset("default")
    training = settings.training
    if epochs is not None:
        training = training.model_copy(update={"epochs": epochs, "keep": "last", "patience": 0})
    torch.manual_seed(seed)
    flow = build_flow(known.shape[-1], settings.flow)
    vectors = BankVectors(known, batch_images=training.batch_images, seed=seed)
    return flow, train_flow(flow, vectors, held_out, training).kept_epoch


def _score(flow: torch.nn.Module, features: torch.Tensor) -> np.ndarray:
    return score_features(flow, features, preset("default").scoring.aggregation).double().numpy()  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
