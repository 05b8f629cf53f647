"""Does a threshold keep its promise on real parts? ``python -m benchmarks.coverage``.

Of the functional monocrystalline cells of ``elpv-dataset`` 300 are learnt from, threshold included; the others, which
neither training nor calibration saw, are decided on. Their share of refusals should lie within the binomial interval
around the stated rate. Every seed draws other cells and trains anew.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from scipy.stats import binom

from differnet import DifferNet
from differnet.demo.cells import TRAINING_CELLS, find_dataset
from differnet.settings import preset

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
    method = "held-out" if arguments.held_out else "cross-fitted"
    sys.stdout.write(f"{len(good)} functional cells, {TRAINING_CELLS} to learn from, rest to decide on\n")
    for seed in range(arguments.seeds):
        order = np.random.RandomState(seed).permutation(len(good))
        known, unseen = ([good[i] for i in part] for part in np.split(order, [TRAINING_CELLS]))
        model = DifferNet(preset("default").with_overrides({"seed": seed, "calibration.method": method}))
        scores = model.fit(known).score(unseen)
        for rate in RATES:
            refused = int((scores > model.calibrate(false_reject_rate=rate).threshold).sum())
            low, high = binom.interval(0.95, len(scores), rate)
            inside = "inside" if low <= refused <= high else "OUTSIDE"
            sys.stdout.write(
                f"seed {seed}, stated {rate:.2f}: refused {refused} of {len(scores)} = {refused / len(scores):.3f}, "
                f"{inside} the 95 % interval {low:.0f} to {high:.0f}\n"
            )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
