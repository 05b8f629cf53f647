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
from differnet.fitting import fit_folds, fit_one
from differnet.flow import FlowEnsemble, NormalizingFlow
from differnet.scoring import score_features
from differnet.settings import Settings, preset
from differnet.training import split_held_out
from differnet.training_vectors import BankVectors
from differnet.views import fixed_views

RATES = (0.05, 0.10)


def main() -> None:
    """Print the observed false-reject rates."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="number of choices of cells")
    parser.add_argument("--held-out", action="store_true", help="calibrate on a fifth of the 300 cells, not by folds")
    arguments = parser.parse_args()
    dataset = find_dataset()
    rows = [line.split() for line in (dataset / "labels.csv").read_text(encoding="utf-8").splitlines()]
    good = [dataset / name for name, probability, kind in rows if kind == "mono" and float(probability) == 0.0]
    settings = preset("default")
    model = DifferNet(settings)
    # The default trains on the fixed views themselves.
    features = model.extraction.bank(good, fixed_views(settings.views)).features
    sys.stdout.write(f"{len(good)} functional cells, {TRAINING_CELLS} to learn from, rest to decide on\n")
    for seed in range(arguments.seeds):
        order = torch.from_numpy(np.random.RandomState(seed).permutation(len(good)))
        known, unseen = features[order[:TRAINING_CELLS]], features[order[TRAINING_CELLS:]]
        fit = _held_out if arguments.held_out else _cross_fitted
        calibration_scores, scores = fit(known, unseen, settings.with_overrides({"seed": seed}))
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


def _held_out(known: torch.Tensor, unseen: torch.Tensor, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    chosen, held_out = split_held_out(len(known), settings.training, settings.seed)
    vectors = BankVectors(known[chosen], batch_images=settings.training.batch_images, seed=settings.seed)
    flow, _ = fit_one(settings, vectors, known[held_out], device=known.device, features=known.shape[-1])
    return _score(flow, known[held_out]), _score(flow, unseen)


def _cross_fitted(known: torch.Tensor, unseen: torch.Tensor, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    flow, _, scores = fit_folds(settings, known, known, known.device)
    return scores.double().numpy(), _score(flow, unseen)


def _score(flow: NormalizingFlow | FlowEnsemble, features: torch.Tensor) -> np.ndarray:
    return score_features(flow, features, preset("default").scoring.aggregation).double().numpy()


if __name__ == "__main__":
    main()
