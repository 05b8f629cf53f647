"""The paper's training run to its last epoch, with the test AUROC beside it that the authors chose their epoch by.

The curve is written down and used for nothing: the model is always that of the last epoch.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet import DifferNet, Settings
from differnet.bench.ceilings import synchronize
from differnet.evaluation.image_metrics import image_auroc
from differnet.evaluation.pixel_metrics import PixelMetrics
from differnet.flow import DensityModel, build_density_model
from differnet.images import load_image, read_good_images, read_image, read_test_images
from differnet.images.layouts import LabelledImage
from differnet.localization.gradient import gradient_map
from differnet.model_file.fitted_model import FittedModel
from differnet.model_file.manifest import TrainingRecord
from differnet.model_file.tensors import Parts
from differnet.scoring import score_features
from differnet.training import EpochReport, train_flow
from differnet.training.contents import order_of_contents
from differnet.training.device_vectors import DeviceVectors, fits_device
from differnet.training.vectors import FreshVectors, VectorSource
from differnet.views import fixed_views, resize

# The authors look at the test images after every 8 epochs, 24 times.
EPOCHS_PER_LOOK = 8
# Images whose views the flow scores at once.
_SCORED_TOGETHER = 64
# Of maps, many of which are made at a time.
_VIEWS_PER_CALL = 32


@dataclass
class PaperRun:
    """How a run went; no model.

    Attributes:
        product: Name of the product.
        seed: Of everything random.
        images: To learn from.
        epochs: That were finished.
        wanted_epochs: That the settings ask for.
        seconds: Of training, without reading images and without the looks at the test images.
        reading_seconds: Until the images were read, and one epoch's features computed.
        epoch_seconds: Median of an epoch.
        image_auroc: Of the model of the last epoch.
        best_look_auroc: The highest of the curve: what the authors' way of reporting would have said.
        curve: Test AUROC after some epochs.
        losses: Training loss of every epoch.
        pixel_auroc: Of gradient maps, all on one scale.
        pixel_auroc_own_scale: Of the same maps, each divided by its highest value, as ``differnet evaluate --maps`` has
            them for a model without a threshold.
        aupro: Of the maps on one scale.
        map_seconds: Of all maps.
        device: Where it ran.
        peak_gigabytes: Of the device's memory, 10^9 bytes; None on a processor.
    """

    product: str
    seed: int
    images: int
    wanted_epochs: int
    epochs: int = 0
    seconds: float = 0.0
    reading_seconds: float = 0.0
    epoch_seconds: float = 0.0
    image_auroc: float | None = None
    best_look_auroc: float | None = None
    curve: list[dict[str, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    pixel_auroc: float | None = None
    pixel_auroc_own_scale: float | None = None
    aupro: float | None = None
    map_seconds: float | None = None
    device: str = ""
    peak_gigabytes: float | None = None


class Paper:
    """A run of the paper's preset on a product.

    Args:
        settings: Of the preset, with another seed or smaller.
        folder: The product.
        name: Of the product.
        device: Where to run.
        deadline: By `time.monotonic`, when training stops with what it has.

    Attributes:
        detector: Knows the settings and the extractor; `model` gives what was learnt.
        vectors: The source of the training vectors, which has read the images.
        result: How it went.
        flow: What was learnt, None before.
    """

    def __init__(
        self, settings: Settings, folder: Path, name: str, device: torch.device, deadline: float = float("inf")
    ) -> None:
        self.detector = DifferNet(settings, device=str(device))
        self.device, self.deadline = self.detector.device, deadline
        self.test = read_test_images(folder)
        self.good = [image.kind == "good" for image in self.test]
        given = read_good_images(folder).paths
        sources = [given[place] for place in order_of_contents(given)]  # as `DifferNet.fit` has them
        self.result = PaperRun(name, settings.seed, len(sources), settings.training.epochs, device=device_name(device))
        extraction = self.detector.extraction
        kind = DeviceVectors if fits_device(extraction, len(sources)) else FreshVectors
        self.vectors: VectorSource = kind(
            extraction,
            sources,
            settings.views,
            batch_images=settings.training.batch_images,
            seed=settings.seed,
        )
        self.flow: DensityModel | None = None

    def read(self) -> list[Tensor]:
        """Read the images, and give the vectors of the first epoch."""
        started = time.perf_counter()
        batches = list(self.vectors.epoch(1))
        synchronize(self.device)
        self.result.reading_seconds = self.result.reading_seconds or time.perf_counter() - started
        return batches

    def train(self) -> DensityModel:
        """Train as `DifferNet.fit` does, to the last bit, and look at the test images on the way."""
        settings, result = self.detector.settings, self.result
        extraction = self.detector.extraction
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        started = time.perf_counter()
        seen = self.test_features()
        _log(f"{result.product}: {len(seen)} test images in {time.perf_counter() - started:.1f} s")
        seconds: list[float] = []
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(settings.seed)
            flow = build_density_model(extraction.features, settings.flow).to(self.device)
            clock = time.perf_counter()

            def report(epoch: EpochReport) -> None:
                nonlocal clock
                synchronize(self.device)
                seconds.append(time.perf_counter() - clock)
                result.losses.append(epoch.loss)
                if epoch.epoch % EPOCHS_PER_LOOK == 0 or epoch.epoch == epoch.epochs:
                    auroc = self.auroc(flow, seen)
                    result.curve.append({"epoch": epoch.epoch, "auroc": auroc})
                    _log(
                        f"{result.product}, seed {result.seed}: epoch {epoch.epoch}, loss {epoch.loss:.4f}, "
                        f"{seconds[-1]:.2f} s, test AUROC {auroc:.4f}"
                    )
                if time.monotonic() > self.deadline:
                    raise KeyboardInterrupt  # training then ends with the last whole epoch
                clock = time.perf_counter()

            train_flow(flow, self.vectors, None, settings.training, report)
            flow.round_to(settings.flow.stored)
        self.flow = flow
        result.epochs, result.seconds = len(seconds), sum(seconds)
        result.epoch_seconds = statistics.median(seconds)
        result.image_auroc = self.auroc(flow, seen)
        result.best_look_auroc = max(look["auroc"] for look in [*result.curve, {"auroc": result.image_auroc}])
        result.peak_gigabytes = peak_gigabytes(self.device)
        return flow

    def forget_images(self) -> None:
        """Give back the memory of the training images; the flow and what makes maps stay."""
        self.vectors = _Nothing()

    def model(self) -> DifferNet:
        """What was learnt, as a detector."""
        if self.flow is None:
            raise RuntimeError("nothing was trained yet")
        extraction = self.detector.extraction
        fitted = FittedModel.describe(
            self.detector.settings,
            Parts(self.flow, torch.empty(0), torch.empty(0), None, None, None, None),
            features=extraction.features,
            extractor_sha256=extraction.network.fingerprint,
            training=TrainingRecord(origin="trained", images=self.result.images, epochs=self.result.epochs),
        )
        return self.detector.with_model(fitted, str(self.device))

    def test_features(self) -> Tensor:
        """(N, V, d) features of the test images on the device."""
        views = fixed_views(self.detector.settings.views)
        bank = self.detector.extraction.bank([image.path for image in self.test], views)
        if bank.failures:
            sys.exit(f"error: {bank.failures[0]}")
        return bank.features.to(self.device)

    def auroc(self, flow: DensityModel, features: Tensor) -> float:
        """The image AUROC of a flow as it is now."""
        flow.eval()
        aggregation = self.detector.settings.scoring.aggregation
        parts = [score_features(flow, part, aggregation) for part in features.split(_SCORED_TOGETHER)]
        scores, good = torch.cat(parts).numpy(), np.array(self.good)
        return image_auroc(scores[good], scores[~good]).value

    def measure_maps(self, workers: int) -> None:
        """Measure gradient maps of all test images with a ground truth, made side by side on the processor's cores."""
        flow, started = self.flow, time.perf_counter()
        if flow is None or all(image.mask is None for image in self.test):
            return
        extraction, views = self.detector.extraction, fixed_views(self.detector.settings.views)

        def heat(image: LabelledImage) -> NDArray[np.float32] | None:
            if time.monotonic() > self.deadline:
                return None
            original = load_image(image.path)
            raw = gradient_map(
                extraction.extractor,
                flow,
                resize(original, extraction.size),
                views,
                extraction.scales,
                views_per_batch=_VIEWS_PER_CALL,
            )
            resized = cv2.resize(raw, original.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            return np.asarray(resized, np.float32)

        chosen = [image for image in self.test if image.mask is not None or not image.is_defective]
        one_scale, own_scale = PixelMetrics(), PixelMetrics()
        for image, made in zip(chosen, _side_by_side(heat, chosen, workers), strict=True):
            if made is None:
                _log(f"{self.result.product}: no time for the maps")
                return
            truth = np.zeros(made.shape, bool) if image.mask is None else read_image(image.mask).max(axis=2) > 127
            one_scale.add(made, truth)
            own_scale.add(made / max(float(made.max()), 1e-30), truth)
        found = one_scale.compute()
        self.result.pixel_auroc, self.result.aupro = found.pixel_auroc, found.aupro
        self.result.pixel_auroc_own_scale = own_scale.compute().pixel_auroc
        self.result.map_seconds = time.perf_counter() - started
        _log(f"{self.result.product}: {len(chosen)} maps in {self.result.map_seconds:.1f} s")


class _Nothing:
    """A source of no vectors."""

    def epoch(self, number: int) -> Iterator[Tensor]:
        """Yield nothing."""
        return iter(())


def device_name(device: torch.device) -> str:
    """What the device is called."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def peak_gigabytes(device: torch.device) -> float | None:
    """The most memory that was taken since the count was last reset, 10^9 bytes; None on a processor."""
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None


def _side_by_side(
    heat: Callable[[LabelledImage], NDArray[np.float32] | None], images: Sequence[LabelledImage], workers: int
) -> Iterator[NDArray[np.float32] | None]:
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(heat, images)


def _log(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
