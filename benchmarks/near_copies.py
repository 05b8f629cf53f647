"""Does a threshold keep its promise where good images are near-copies of others? ``python -m benchmarks.near_copies``.

Of the functional monocrystalline cells of ``elpv-dataset`` 60 (or 120) are saved several times each and learnt from;
288 cells that none of them shows are decided on at a stated 5 %. Every choice draws other cells and trains anew.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from differnet import DifferNet
from differnet.images import read_image
from differnet.images.solar_cells import TRAINING_CELLS, find_dataset
from differnet.settings import preset

Pixels = NDArray[np.uint8]
RATE = 0.05


def copied(image: Pixels, _: np.random.RandomState) -> Pixels:
    """The same pixels."""
    return image.copy()


def recompressed(image: Pixels, _: np.random.RandomState) -> Pixels:
    """As a JPEG of quality 85."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=85)
    return np.asarray(Image.open(file))


def brightened(image: Pixels, random: np.random.RandomState) -> Pixels:
    """3 % lighter or darker."""
    return np.clip(image * (1 + random.choice([-0.03, 0.03])), 0, 255).round().astype(np.uint8)


def flipped(image: Pixels, _: np.random.RandomState) -> Pixels:
    """Left to right."""
    return np.ascontiguousarray(image[:, ::-1])


def frame(image: Pixels, random: np.random.RandomState) -> Pixels:
    """Moved by up to a pixel, with the noise of a camera."""
    moved = np.roll(image, (random.randint(-1, 2), random.randint(-1, 2)), (0, 1))
    return np.clip(moved + random.normal(0, 1.5, image.shape), 0, 255).round().astype(np.uint8)


def laid_anew(image: Pixels, random: np.random.RandomState) -> Pixels:
    """Moved by up to 1 % of the side, with the noise of a camera."""
    move = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    move[:, 2] = random.uniform(-0.01, 0.01, 2) * image.shape[:2]
    moved = cv2.warpAffine(image, move, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
    return np.clip(moved + random.normal(0, 1.5, image.shape), 0, 255).round().astype(np.uint8)


KINDS: dict[str, tuple[int, tuple[Callable[[Pixels, np.random.RandomState], Pixels], ...]]] = {
    "copy, JPEG 85, +-3 %": (60, (copied, copied, recompressed, brightened)),
    "JPEG 85, +-3 %, flipped": (60, (copied, recompressed, brightened, flipped)),
    "four frames": (60, (frame, frame, frame, frame)),
    "ten frames": (30, (frame,) * 10),
    "four, laid anew": (60, (laid_anew,) * 4),
    "each twice": (120, (copied, copied)),
    "no copies": (240, (copied,)),
}


def main() -> None:
    """Print the share of unseen good cells that is refused, and how many groups were found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.near_copies", description=__doc__)
    parser.add_argument("--choices", type=int, default=10, help="number of choices of cells")
    parser.add_argument("--kind", choices=sorted(KINDS), action="append", help="only this kind of copies; repeatable")
    parser.add_argument("--ignored", action="store_true", help="with training.near_copies=ignored, to compare")
    arguments = parser.parse_args()
    dataset = find_dataset()
    rows = [line.split() for line in (dataset / "labels.csv").read_text(encoding="utf-8").splitlines()]
    good = [dataset / name for name, probability, kind in rows if kind == "mono" and float(probability) == 0.0]
    settings = preset("default").with_overrides(
        {"training.near_copies": "ignored" if arguments.ignored else "together"}
    )
    refused: dict[str, list[float]] = {kind: [] for kind in arguments.kind or KINDS}
    with tempfile.TemporaryDirectory(prefix="differnet-near-copies-") as cache:
        for choice in range(arguments.choices):
            order = np.random.RandomState(choice).permutation(len(good))
            known, unseen = ([good[i] for i in part] for part in np.split(order, [TRAINING_CELLS]))
            for kind, rates in refused.items():
                parts, ways = KINDS[kind]
                random = np.random.RandomState(choice)
                images = [each(read_image(path), random) for path in known[:parts] for each in ways]
                shuffled = [images[i] for i in random.permutation(len(images))]
                model = DifferNet(settings.with_overrides({"seed": choice}), cache=cache).fit(shuffled)
                # Frames have the noise of the camera: so have the cells that are decided on.
                way = next((each for each in (frame, laid_anew) if each in ways), None)
                taken = [way(read_image(path), random) for path in unseen] if way else unseen
                scores = model.score(taken)
                threshold = model.calibrate(false_reject_rate=RATE).threshold
                rates.append(float((scores > threshold).mean()))
                record = model.fitted.manifest.training
                sys.stdout.write(
                    f"choice {choice}, {kind}: {len(images)} images of {parts} cells, {record.groups} groups found, "
                    f"{rates[-1]:.3f} of {len(unseen)} refused\n"
                )
                sys.stdout.flush()
    for kind, rates in refused.items():
        sys.stdout.write(
            f"{kind}: stated {RATE:.2f}, mean {np.mean(rates):.4f}, from {min(rates):.3f} to {max(rates):.3f}\n"
        )


if __name__ == "__main__":
    main()
