"""A file whose threshold is an input says what it said before, unless another is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from differnet import DifferNet
from differnet.errors import SettingsError
from differnet.export.threshold_input import add_threshold_input
from differnet.export.write import export_model
from differnet_runtime import Inspector
from tests.export.files import Exported, exported, inspected


@pytest.fixture(scope="module")
def reviewing(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory, "local")


def test_margin_and_decision_follow_another_threshold_and_are_as_before_without(
    reviewing: Exported, tmp_path: Path
) -> None:
    before = Inspector(reviewing.onnx)
    own = before.threshold
    assert own is not None
    model = onnx.load(reviewing.onnx)
    add_threshold_input(model, own)
    onnx.checker.check_model(model)
    onnx.save(model, tmp_path / "given.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "given.onnx")
    assert [each.name for each in session.get_inputs()] == ["image"]
    outputs = ["score", "p_value", "margin", "decision"]

    def asked(image: NDArray[np.uint8], **threshold: float) -> list[float]:
        given = {name: np.asarray(value, np.float64) for name, value in threshold.items()}
        return [output.item() for output in session.run(outputs, {"image": image, **given})]

    seen = set()
    for image in inspected():
        expected = before.inspect(image)
        stated = asked(image)
        assert stated[:3] == [expected.score, expected.p_value, expected.margin]
        assert ("accept", "review", "reject")[int(stated[3])] == expected.decision
        assert asked(image, threshold=own) == stated
        seen.add(stated[3])
        for threshold, decision in ((stated[0], 0), (float(np.nextafter(stated[0], -np.inf)), 2)):
            assert asked(image, threshold=threshold) == [*stated[:2], stated[0] - threshold, decision]
    assert len(seen) > 1


def test_where_no_threshold_can_be_given_it_is_said(fitted: DifferNet, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="openvino takes no other threshold"):
        export_model(fitted, tmp_path / "model.xml", "openvino", threshold_input=True)
