"""Judge the frames of a camera, or of a video, one after the other; keep a picture of what is refused.

python camera.py bottle.safetensors --camera 0            # or a file, or an rtsp:// address
For a folder that a camera writes into, `differnet watch` does more: journal, deliveries, restarts.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from differnet import DifferNet, ImageError


def frames(camera: str) -> Iterator[NDArray[np.uint8]]:
    """RGB frames until there are no more."""
    source = cv2.VideoCapture(int(camera) if camera.isdecimal() else camera)
    try:
        while source.isOpened():
            found, frame = source.read()
            if not found:
                return
            yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)  # OpenCV has blue first
    finally:
        source.release()


def main() -> None:
    """Print a line for each frame, and write a picture of each that is refused."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--camera", default="0")
    parser.add_argument("--refused", type=Path, default=Path("refused"))
    options = parser.parse_args()
    model = DifferNet.load(options.model)
    options.refused.mkdir(exist_ok=True)
    for number, frame in enumerate(frames(options.camera)):
        try:
            verdict = model.inspect(frame)
        except ImageError as error:  # an image that cannot be judged is no good part
            print(f"{number}\tstop\t{error}")
            continue
        print(f"{number}\t{verdict.decision}\t{verdict.score:.3f}\t{verdict.milliseconds:.0f} ms")
        if verdict.decision == "reject":
            model.explain_many(frame)[0].save(options.refused / f"{number:06}.png")
    if model.drift.sentence:  # light, focus or parts are not what they were
        print(model.drift.sentence)


if __name__ == "__main__":
    main()
