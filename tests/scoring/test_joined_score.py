"""The default's score: the flow's and the local model's joined, the same wherever it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from differnet import DifferNet, Explanation, Settings, Verdict
from differnet.compute.tensor_digest import digest_tensors
from differnet.errors import ModelFileError, SettingsError
from differnet.features import Sample
from differnet.scoring import local_scores
from differnet.settings import preset
from differnet.views import View

JOINED = {"scoring.local": True, "scoring.hottest": 0.05, "views.kind": "none", "views.count": 1}


@pytest.fixture(scope="module")
def joined(product: Path, small_settings: Settings) -> DifferNet:
    return DifferNet(small_settings.with_overrides(JOINED), device="cpu").fit(product)


@pytest.fixture(scope="module")
def joined_file(joined: DifferNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("joined") / "model.safetensors"
    joined.save(file)
    return file


@pytest.fixture
def images(product: Path) -> list[Path]:
    return sorted((product / "test").glob("*/00[01].png"))


def test_the_score_is_the_join_of_what_flow_and_cells_say(joined: DifferNet, images: list[Path]) -> None:
    scale = joined.fitted.scale
    assert scale is not None
    network, localizer = joined.extraction, joined.inspection.localizer
    for path, score in zip(images, joined.score(images), strict=True):
        [image] = network.stream([path], (View(),))
        assert isinstance(image, Sample)
        with torch.no_grad():
            flow = joined.flow.energy(image.features).item()
        local = local_scores(localizer.anomaly_of(image.pixels), 0.05).item()
        (mean, deviation), (local_mean, local_deviation) = scale.usual.tolist()
        expected = np.logaddexp((flow - mean) / deviation, (local - local_mean) / local_deviation)
        assert score == pytest.approx(expected, rel=1e-4)


def test_defective_parts_score_higher_than_good_ones(joined: DifferNet, product: Path) -> None:
    good = joined.score(sorted((product / "test" / "good").iterdir()))
    defective = joined.score([*(product / "test" / "scratch").iterdir(), *(product / "test" / "blot").iterdir()])
    assert np.median(defective) > np.max(good)


@pytest.mark.parametrize("method", ["neighbours", "gradient"])
def test_explaining_gives_the_same_verdict_whatever_the_map(joined: DifferNet, images: list[Path], method: str) -> None:
    for verdict, explained in zip(joined.inspect_stream(images), joined.explain_stream(images, method), strict=True):
        assert isinstance(verdict, Verdict)
        assert isinstance(explained, Explanation)
        assert explained.verdict.score == pytest.approx(verdict.score, rel=1e-4)
        assert explained.verdict.decision == verdict.decision


def test_a_saved_model_scores_the_same_to_the_last_bit_in_another_process(
    joined: DifferNet, joined_file: Path, images: list[Path]
) -> None:
    program = "import sys; from differnet import DifferNet; m = DifferNet.load(sys.argv[1], device='cpu')\n"
    program += "print(*(float(s).hex() for s in m.score(sys.argv[2:])))"
    arguments = [sys.executable, "-c", program, str(joined_file), *map(str, images)]
    output = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.split()
    assert output == [float(score).hex() for score in joined.score(images)]


def test_held_out_scores_that_calibrate_are_joined_too(joined: DifferNet) -> None:
    # Of joined standard scores: nothing lies below the lower of the two means by many deviations, and the median of
    # two standard scores' soft maximum is about one.
    assert 0.0 < joined.held_out_scores.median() < 2.0


def test_the_model_id_tells_the_scale_apart(joined: DifferNet, product: Path, small_settings: Settings) -> None:
    other = DifferNet(small_settings.with_overrides(JOINED | {"scoring.hottest": 1.0}), device="cpu").fit(product)
    assert other.manifest is not None
    assert joined.manifest is not None
    assert other.manifest.model_id != joined.manifest.model_id


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (None, "missing"),
        (torch.ones(2, 2), "not as expected"),
        (torch.ones(3, 2, dtype=torch.float64), "not as expected"),
        (torch.zeros(2, 2, dtype=torch.float64), "no training gives"),
        (torch.full((2, 2), float("nan"), dtype=torch.float64), "no training gives"),
    ],
)
def test_a_damaged_scale_is_refused(
    joined_file: Path, tmp_path: Path, damage: torch.Tensor | None, message: str
) -> None:
    with safe_open(joined_file, "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    del tensors["scoring.usual"]
    if damage is not None:
        tensors["scoring.usual"] = damage
    metadata["tensors_sha256"] = digest_tensors(tensors)  # a file that was written so
    save_file(tensors, tmp_path / "damaged.safetensors", metadata)
    with pytest.raises(ModelFileError, match=message):
        DifferNet.load(tmp_path / "damaged.safetensors")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"localization.method": "gradient"}, "localization.method=mixture or neighbours"),
        (
            {"calibration.method": "held-out", "training.held_out": 0.0, "training.keep": "last"},
            "calibration.method=cross-fitted",
        ),
    ],
)
def test_settings_that_leave_the_local_score_without_its_needs_are_refused(
    overrides: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        preset("default").with_overrides(overrides)
