"""What defects among the good images do, and whether they are found: ``python -m benchmarks.contamination``.

Of 300 functional monocrystalline cells of ``elpv-dataset``, or of ``--images``, a share is replaced by defective ones;
other good cells and other defective ones are decided on at a stated 5 %. Every choice draws other cells, and trains
with each kind of ``training.outliers``. Means over the choices follow at the end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from differnet import DifferNet
from differnet.images.solar_cells import TRAINING_CELLS, find_dataset
from differnet.settings import preset

SHARES = (0, 3, 5, 10)
OUTLIERS = ("kept", "auto", "left-out")
TEST_DEFECTIVE = 200


def main() -> None:
    """Print the share of culprits that is named, of defects that escape, and of good cells that are refused."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contamination", description=__doc__)
    parser.add_argument("--choices", type=int, default=2, help="number of choices of cells")
    parser.add_argument("--images", type=int, default=TRAINING_CELLS, help="cells learnt from")
    parser.add_argument("--shares", type=int, nargs="+", default=SHARES, help="of them that are defective, in percent")
    parser.add_argument("--outliers", nargs="+", default=OUTLIERS, choices=("kept", "auto", "uncounted", "left-out"))
    parser.add_argument("--test", type=int, help="so many good and defective cells decided on at most; all if left out")
    parser.add_argument("--cache", type=Path, help="folder where features are kept")
    arguments = parser.parse_args()
    dataset = find_dataset()
    rows = [line.split() for line in (dataset / "labels.csv").read_text(encoding="utf-8").splitlines()]
    good, defective = (
        [dataset / name for name, probability, kind in rows if kind == "mono" and float(probability) == wanted]
        for wanted in (0.0, 1.0)
    )
    found_all: dict[tuple[int, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="differnet-contamination-") as folder:
        for choice in range(arguments.choices):
            random = np.random.RandomState(choice)
            cells = [good[i] for i in random.permutation(len(good))]
            bad = [defective[i] for i in random.permutation(len(defective))]
            unseen, culprits = cells[max(arguments.images, TRAINING_CELLS) :][: arguments.test], bad[TEST_DEFECTIVE:]
            test_bad = bad[:TEST_DEFECTIVE][: arguments.test]
            for share in arguments.shares:
                count = arguments.images * share // 100
                known = [*culprits[:count], *cells[count : arguments.images]]
                for outliers in arguments.outliers:
                    settings = preset("default").with_overrides({"seed": choice, "training.outliers": outliers})
                    model = DifferNet(settings, cache=arguments.cache or folder).fit(known)
                    named = {suspect.name for suspect in model.fitted.manifest.training.suspects}
                    left = sum(suspect.left_out for suspect in model.fitted.manifest.training.suspects)
                    found = sum(str(path) in named for path in culprits[:count])
                    uncounted = sum(suspect.uncounted for suspect in model.fitted.manifest.training.suspects)
                    threshold = model.calibrate(false_reject_rate=0.05).threshold
                    escape = float((model.score(test_bad) <= threshold).mean())
                    refused = float((model.score(unseen) > threshold).mean())
                    found_all.setdefault((share, outliers), []).append((escape, refused))
                    sys.stdout.write(
                        f"choice {choice}, {share} % defective, outliers {outliers}: {len(named)} images named, "
                        f"{found} of {count} culprits among them, {left} left out, {uncounted} uncounted; "
                        f"{escape:.3f} of {len(test_bad)} defects escape, {refused:.3f} of {len(unseen)} good cells "
                        "refused\n"
                    )
                    sys.stdout.flush()
    for (share, outliers), rates in found_all.items():
        escape, refused = np.mean(rates, axis=0)
        sys.stdout.write(
            f"{share} % defective, outliers {outliers}, mean of {len(rates)} choices: {escape:.3f} escape, "
            f"{refused:.3f} refused\n"
        )


if __name__ == "__main__":
    main()
