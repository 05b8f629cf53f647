"""Does a threshold keep its promise on real parts? ``python -m benchmarks.coverage``.

Of the functional monocrystalline cells of ``elpv-dataset`` 300 are learnt from, threshold included; the others, which
neither training nor calibration saw, are decided on. Every seed draws other cells and trains anew.

Two intervals are printed around the stated rate: the binomial one, which takes the threshold as exact, and the
beta-binomial one, which also has the chance of its calibration images. A flawless calibration is inside the latter in
95 % of the draws, inside the former in fewer; the last lines say in how many, and give the mean over all draws.
"""

from __future__ import annotations

import argparse
import sys
import tempfile

import numpy as np
from scipy.stats import betabinom, binom

from differnet import DifferNet
from differnet.images.solar_cells import TRAINING_CELLS, find_dataset
from differnet.settings import preset

RATES = (0.05, 0.10)


def main() -> None:
    """Print the observed false-reject rates."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="number of choices of cells")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--held-out", action="store_true", help="calibrate on a fifth of the 300 cells, not by folds")
    parser.add_argument("--flow", action="store_true", help="the flow's score alone, without the cells'")
    arguments = parser.parse_args()
    dataset = find_dataset()
    rows = [line.split() for line in (dataset / "labels.csv").read_text(encoding="utf-8").splitlines()]
    good = [dataset / name for name, probability, kind in rows if kind == "mono" and float(probability) == 0.0]
    settings = preset("default").with_overrides(
        {
            "calibration.method": "held-out" if arguments.held_out else "cross-fitted",
            "scoring.local": not arguments.flow,
        }
    )
    sys.stdout.write(f"{len(good)} functional cells, {TRAINING_CELLS} to learn from, rest to decide on\n")
    observed: dict[float, list[tuple[float, bool, bool, float]]] = {rate: [] for rate in RATES}
    with tempfile.TemporaryDirectory(prefix="differnet-coverage-") as cache:
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            order = np.random.RandomState(seed).permutation(len(good))
            known, unseen = ([good[i] for i in part] for part in np.split(order, [TRAINING_CELLS]))
            model = DifferNet(settings.with_overrides({"seed": seed}), cache=cache)
            scores = model.fit(known).score(unseen)
            for rate in RATES:
                calibration = model.calibrate(false_reject_rate=rate)
                refused = int((scores > calibration.threshold).sum())
                observed[rate].append(_compare(seed, rate, refused, len(scores), len(calibration.scores)))
    for rate, results in observed.items():
        rates, in_binomial, in_predicted, expected = (np.array(column) for column in zip(*results, strict=True))
        error = rates.std(ddof=1) / len(rates) ** 0.5 if len(rates) > 1 else float("nan")
        sys.stdout.write(
            f"stated {rate:.2f}: mean {rates.mean():.4f} +- {error:.4f} over {len(rates)} draws; inside the binomial "
            f"interval {in_binomial.sum()} (expected of a flawless one {expected.sum():.1f}), inside the beta-binomial "
            f"{in_predicted.sum()}\n"
        )


def _compare(seed: int, rate: float, refused: int, unseen: int, calibrated: int) -> tuple[float, bool, bool, float]:
    """Print one observation; give the rate, whether it is in either interval, and the chance to be in the first."""
    low, high = binom.interval(0.95, unseen, rate)
    above = int(rate * (calibrated + 1) + 1e-9)
    predicted = betabinom(unseen, above, calibrated + 1 - above)
    least, most = predicted.interval(0.95)
    in_binomial, in_predicted = low <= refused <= high, least <= refused <= most
    sys.stdout.write(
        f"seed {seed}, stated {rate:.2f}: refused {refused} of {unseen} = {refused / unseen:.3f}; "
        f"{'inside' if in_binomial else 'OUTSIDE'} the binomial interval {low:.0f} to {high:.0f}, "
        f"{'inside' if in_predicted else 'OUTSIDE'} the beta-binomial {least:.0f} to {most:.0f}\n"
    )
    sys.stdout.flush()
    return refused / unseen, in_binomial, in_predicted, float(predicted.cdf(high) - predicted.cdf(low - 1))


if __name__ == "__main__":
    main()
