"""DifferNet as an outlier detector of scikit-learn, with the attributes that PyOD's users know.

python scikit_learn_detector.py bottle
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from differnet import DifferNetDetector


def main() -> None:
    """Fit on a product's good images, and measure on its test images."""
    parser = argparse.ArgumentParser()
    parser.add_argument("product", type=Path, help="A folder with train/good and test/KIND.")
    product = parser.parse_args().product

    detector = DifferNetDetector(contamination=0.1).fit(product / "train" / "good")
    print("threshold", detector.threshold_, "from", len(detector.decision_scores_), "scores")

    files = sorted((product / "test").glob("*/*.png"))
    defective = np.array([file.parent.name != "good" for file in files])
    print("predict (1 good, -1 defective):", detector.predict(files))
    print("AUROC:", roc_auc_score(defective, -detector.decision_function(files)))


if __name__ == "__main__":
    main()
