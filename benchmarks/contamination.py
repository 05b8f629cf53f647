"""What defects among the good images do, and whether they are found: ``python -m benchmarks.contamination``.

Of 300 functional monocrystalline cells of ``elpv-dataset`` a share is replaced by defective ones; 288 other good cells
and 200 other defective ones are decided on at a stated 5 %. Every choice draws other cells, and trains
as they are and with ``training.outliers=left-out``.
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
TEST_DEFECTIVE = 200


def main() -> None:
    """Print the share of culprits that is named, of defects that escape, and of good cells that are refused."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contamination", description=__doc__)
    parser.add_argument("--choices", type=int, default=2, help="number of choices of cells")
    parser.add_argument("--cache", type=Path, help="folder where features are kept")
    arguments = parser.parse_args()
    dataset = find_dataset()
    rows = [line.split() for line in (dataset / "labels.csv").read_text(encoding="utf-8").splitlines()]
    good, defective = (
        [dataset / name for name, probability, kind in rows if kind == "mono" and float(probability) == wanted]
        for wanted in (0.0, 1.0)
    )
    with tempfile.TemporaryDirectory(prefix="differnet-contamination-") as folder:
        for choice in range(arguments.choices):
            random = np.random.RandomState(choice)
            cells = [good[i] for i in random.permutation(len(good))]
            bad = [defective[i] for i in random.permutation(len(defective))]
            unseen, test_bad, culprits = cells[TRAINING_CELLS:], bad[:TEST_DEFECTIVE], bad[TEST_DEFECTIVE:]
            for share in SHARES:
                count = TRAINING_CELLS * share // 100
                known = [*culprits[:count], *cells[count:TRAINING_CELLS]]
                for outliers in ("kept", "left-out"):
                    settings = preset("default").with_overrides({"seed": choice, "training.outliers": outliers})
                    model = DifferNet(settings, cache=arguments.cache or folder).fit(known)
                    named = {suspect.name for suspect in model.fitted.manifest.training.suspects}
                    left = sum(suspect.left_out for suspect in model.fitted.manifest.training.suspects)
                    found = sum(str(path) in named for path in culprits[:count])
                    threshold = model.calibrate(false_reject_rate=0.05).threshold
                    sys.stdout.write(
                        f"choice {choice}, {share} % defective, outliers {outliers}: {len(named)} images named, "
                        f"{found} of {count} culprits among them, {left} left out; "
                        f"{(model.score(test_bad) <= threshold).mean():.3f} of {TEST_DEFECTIVE} defects escape, "
                        f"{(model.score(unseen) > threshold).mean():.3f} of {len(unseen)} good cells refused\n"
                    )
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
