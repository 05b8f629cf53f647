"""A model and evaluations to report on, made of given scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from differnet import DifferNet
from differnet.calibration import Calibration, Source
from differnet.evaluation import Estimate
from differnet.evaluation.evaluate import DefectMetrics, Evaluation, ScoredImage
from differnet.evaluation.metrics import METRICS, Evidence, Figure, measure
from differnet.evaluation.pixel_metrics import PixelResult
from differnet.flow import NormalizingFlow
from differnet.images import GOOD, GivenImages, LabelledImage, image_sources, load_image
from differnet.images.failure import Failure
from differnet.inspection.explanation import Explanation
from differnet.inspection.verdict import give_verdict
from differnet.localization.regions import find_regions
from differnet.model_file.fitted_model import FittedModel
from differnet.model_file.manifest import Manifest, TrainingRecord
from differnet.settings import preset

MODEL_ID = "0123456789ab"
GOOD_SCORES = [0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 2.6]
DEFECTS = {"crack": [1.15, 2.9, 30.0], "spot": [2.2, 8.0]}
# Of 39 scores from 1 to 2.9, the second highest is the threshold for 5 %.
CALIBRATION_SCORES = np.linspace(1.0, 2.9, 39)


class StubModel(DifferNet):
    """A model that has learnt nothing, with heat maps that are hot in one corner."""

    scale_is_fixed = True
    method: str | None = None

    def explain_stream(
        self, images: GivenImages, method: str | None = None, *, with_images: bool = False
    ) -> Iterator[Explanation | Failure]:
        self.method = method
        for path in image_sources(images):
            assert isinstance(path, Path)
            if not path.exists():
                yield Failure(str(path), f"{path}: no such file; check the path.")
                continue
            image = load_image(path)
            height, width = image.shape[:2]
            heat = np.zeros((height, width), np.float32)
            heat[: height // 4, : width // 4] = 1.5
            verdict = give_verdict(
                1.0, self.calibration, source=str(path), width=width, height=height, model_id=MODEL_ID, milliseconds=1.0
            )
            regions = tuple(find_regions(heat)) if self.scale_is_fixed else ()
            yield Explanation(verdict, heat, regions, self.scale_is_fixed, image if with_images else None)


def make_model(calibration: Calibration | None, source: Source = "held-out") -> StubModel:
    manifest = Manifest(
        package_version="0.1.0",
        created=datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc),
        settings=preset("fast"),
        features=768,
        extractor_sha256="ab" * 32,
        model_id=MODEL_ID,
        training=TrainingRecord(
            origin="trained",
            images=160,
            held_out_images=39,
            data_sha256="cd" * 32,
            epochs=20,
            kept_epoch=17,
            seconds=75.0,
        ),
        calibration=None if calibration is None else calibration.record(source),
    )
    scores = torch.tensor(CALIBRATION_SCORES, dtype=torch.float32)
    fitted = FittedModel(manifest, NormalizingFlow(2, 1, 1), scores=scores, source=source, calibration=calibration)
    return StubModel(preset("fast"), device="cpu").with_model(fitted, device="cpu")


def make_evaluation(
    folder: Path,
    calibration: Calibration | None,
    good: Sequence[float] = GOOD_SCORES,
    defects: dict[str, list[float]] | None = None,
    *,
    suffix: str = "",
    size: tuple[int, int] = (40, 30),
    noise: bool = False,
    failures: Sequence[Failure] = (),
    pixels: PixelResult | None = None,
    good_without_region: Estimate | None = None,
) -> Evaluation:
    """Images in ``folder`` named by their score, and what an evaluation says of them."""
    defects = DEFECTS if defects is None else defects
    rng = np.random.default_rng(0)
    scored = []
    for kind, scores in {GOOD: good, **defects}.items():
        place = folder / kind.replace("/", "_")
        place.mkdir(parents=True, exist_ok=True)
        for i, score in enumerate(scores):
            path = place / f"{i:03}{suffix}.png"
            width, height = size
            grey = np.full((height, width, 3), 90 + i)
            photograph = rng.integers(0, 256, grey.shape) if noise else grey
            Image.fromarray(photograph.astype(np.uint8)).save(path)
            verdict = give_verdict(
                score,
                calibration,
                source=str(path),
                width=width,
                height=height,
                model_id=MODEL_ID,
                milliseconds=20.0 + i,
            )
            scored.append(ScoredImage(LabelledImage(path, kind), verdict))
    every = [score for scores in defects.values() for score in scores]

    def metrics(scores: Sequence[float]) -> DefectMetrics:
        return DefectMetrics(len(scores), measure(Evidence(np.array(good), np.array(scores)), "scores"))

    threshold = None if calibration is None else calibration.threshold
    figures = measure(Evidence(np.array(good), np.array(every), threshold), "decisions")
    if good_without_region is not None:
        figures["good_without_region"] = Figure(METRICS["good_without_region"], good_without_region)
    if pixels is not None:
        figures |= {name: Figure(METRICS[name], getattr(pixels, name)) for name in ("pixel_auroc", "aupro")}

    return Evaluation(
        overall=metrics(every),
        per_defect={kind: metrics(scores) for kind, scores in defects.items()},
        good_images=len(good),
        scored=scored,
        failures=list(failures),
        seconds=1.0,
        figures=figures,
        pixels=pixels,
    )
