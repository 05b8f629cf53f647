"""A model file that changes while it is in use."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from differnet import DifferNet
from differnet.errors import ModelFileError
from differnet.inspection.verdict import Verdict
from differnet.watching import CurrentModel


def test_a_changed_file_is_loaded_and_a_broken_one_reported_once(
    fitted: DifferNet, model_file: Path, product: Path, tmp_path: Path
) -> None:
    file = tmp_path / "m.safetensors"
    file.write_bytes(model_file.read_bytes())
    said: list[str] = []
    warned: list[str] = []
    model = CurrentModel(file, device="cpu", settle=0.05, say=said.append, warn=warned.append)
    image = (product / "test" / "good" / "000.png").read_bytes()

    def verdict() -> Verdict:
        (result,) = model.inspect([image])
        assert isinstance(result, Verdict)
        return result

    def refresh() -> None:
        for _ in range(2):
            model.refresh()
            time.sleep(0.1)
        model.refresh()

    first = verdict()
    assert first.score == pytest.approx(fitted.inspect(image).score)
    refresh()
    assert (said, warned) == ([], [])

    file.write_bytes(model_file.read_bytes()[:1000])
    model.refresh()
    assert warned == []  # it may still be being written
    refresh()
    refresh()
    assert len(warned) == 1
    assert "m.safetensors: is damaged" in warned[0]
    assert f"({first.model_id}) stays in use" in warned[0]
    assert verdict().score == first.score

    file.unlink()
    refresh()
    assert "no such model file" in warned[1]
    assert verdict().score == first.score

    recalibrated = DifferNet.load(model_file, device="cpu")
    recalibrated.calibrate(false_reject_rate=0.2)
    recalibrated.save(file)
    refresh()
    assert len(warned) == 2
    assert said == [f"{file}: changed; now model {first.model_id}."]
    assert verdict().score == first.score
    assert recalibrated.calibration is not None
    assert verdict().threshold == pytest.approx(recalibrated.calibration.threshold)


def test_there_must_be_a_model_to_begin_with(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such model file"):
        CurrentModel(tmp_path / "none.safetensors")
