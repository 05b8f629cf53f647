"""A client that uses every public name: mypy checks it in strict mode, and it runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import differnet
from differnet import (
    Calibration,
    CalibrationError,
    CameraError,
    ClusterError,
    CustomExtractor,
    DatasetError,
    DifferNet,
    DifferNetDetector,
    DifferNetError,
    DivergenceError,
    DriftReport,
    Evaluation,
    Explanation,
    Failure,
    GivenImage,
    GivenImages,
    GoodImages,
    ImageError,
    LabelledImage,
    Listener,
    Manifest,
    MeasurementError,
    MissingExtraError,
    ModelFileError,
    NotFittedError,
    OutputError,
    RecipeError,
    Region,
    RegionOfInterest,
    ResumeError,
    Sample,
    Settings,
    SettingsError,
    TrainingState,
    UncalibratedWarning,
    Verdict,
    Verdicts,
    WeightsError,
    evaluate,
    load_image,
    preset,
    read_region,
    read_test_images,
    write_report,
)

ERRORS: list[type[DifferNetError]] = [
    CalibrationError, CameraError, ClusterError, DatasetError, DivergenceError, ImageError, MeasurementError,
    MissingExtraError, ModelFileError, NotFittedError, OutputError, RecipeError, ResumeError,
    SettingsError, WeightsError,
]  # fmt: skip


WARNINGS: list[type[Warning]] = [UncalibratedWarning]


class Stages(Listener):
    """Remembers the stages."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def images(self, stage: str, done: int, total: int) -> None:
        self.seen.append(f"{stage} {done}/{total}")


def client(model: DifferNet, product: Path, folder: Path) -> list[str]:
    """What somebody would write who has read the reference."""
    good: GoodImages = product / "train" / "good"
    image: GivenImage = load_image(product / "test" / "blot" / "000.png")
    several: GivenImages = [image, product / "test" / "good"]
    settings: Settings = preset("default").with_overrides({"seed": 1})
    region: RegionOfInterest = read_region("0,0,40,40", [product / "test" / "blot" / "000.png"])
    own: CustomExtractor | None = None
    fresh = DifferNet(settings, region=region, device="cpu", extractor=own)
    state: TrainingState = TrainingState(folder / "fresh.state", resume=True)
    stages = Stages()
    calibration: Calibration = model.calibrate(false_reject_rate=0.2, listener=stages)
    verdict: Verdict = model.inspect(image)
    verdicts: Verdicts = model.inspect_many(several)
    failures: list[Failure] = verdicts.failures
    prepared: Sample | Failure = model.prepare(image)
    explanations: list[Explanation] = model.explain_many(image)
    regions: tuple[Region, ...] = explanations[0].regions
    drift: DriftReport = model.drift
    manifest: Manifest | None = model.manifest
    labelled: list[LabelledImage] = list(read_test_images(product))
    evaluation: Evaluation = evaluate(model, labelled)
    write_report(model, evaluation, folder / "report.html", title="Plates")
    detector: DifferNetDetector = DifferNetDetector(contamination=calibration.false_reject_rate)
    assert (verdict.decision, failures, manifest is not None) == ("reject", [], True)
    assert regions
    told: list[object] = [good, fresh, prepared, drift, detector, stages.seen, state.path]
    return [str(each) for each in told]


def test_a_client_with_every_public_name_runs(model_file: Path, product: Path, tmp_path: Path) -> None:
    assert len(client(DifferNet.load(model_file, device="cpu"), product, tmp_path)) == 7
    assert all(issubclass(error, DifferNetError) for error in ERRORS)
    assert all(issubclass(warning, UserWarning) for warning in WARNINGS)


def test_the_client_uses_every_public_name() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    names = set(differnet.__all__) - {"__version__"}
    assert not [name for name in names if len(re.findall(rf"\b{name}\b", text)) < 2]
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", differnet.__version__)
    assert set(differnet.__all__) <= set(dir(differnet))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        np.asarray(differnet.nonsense)
