"""Set the threshold anew: for another rate, with a review band, from images of its own, or by hand.

python own_threshold.py bottle.safetensors more_good_images part.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

from differnet import CalibrationError, DifferNet


def main() -> None:
    """Print the verdict on an image by four thresholds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("good", type=Path, help="Good images that training did not see.")
    parser.add_argument("image", type=Path)
    options = parser.parse_args()
    model = DifferNet.load(options.model)

    def tell(what: str) -> None:
        verdict = model.inspect(options.image)
        print(f"{what}: {verdict.decision}, score {verdict.score:.3f}, threshold {verdict.threshold:.3f}")

    tell("as it was trained")
    # From the scores that training kept: one good part in five may be refused, two in five looked at.
    model.calibrate(false_reject_rate=0.2, review_rate=0.4)
    tell("20 % refused, 40 % looked at")
    try:
        model.calibrate(options.good, false_reject_rate=0.2)
        tell("from images of its own")
    except CalibrationError as error:  # too few of them for the rate
        print(error)
    # By hand, for example a little above a known blemish that may pass; the model file says `by-hand`.
    model.calibrate(threshold=model.inspect(options.image).score + 0.1)
    tell("by hand")
    model.save(options.model.with_name("own-threshold.safetensors"))


if __name__ == "__main__":
    main()
