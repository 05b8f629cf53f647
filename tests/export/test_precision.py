"""Rounding to bfloat16 is bfloat16's, in torch and in the runtimes, which must not simplify it away."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from differnet import DifferNet
from differnet.compute.openvino_runtime import import_openvino
from differnet.errors import SettingsError
from differnet.export.precision import as_trained, in_precision
from differnet.extractors import Extractor
from differnet.extractors.rounding import round_as_bfloat16
from tests.export.files import inspected


class TwoLayers(Extractor):
    """A little extractor, whose results are its stages."""

    channels = 4
    stage_channels = ()

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 4, 1)

    def feature_maps(self, normalised: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(normalised)))


def made() -> TwoLayers:
    torch.manual_seed(0)
    return TwoLayers().freeze()  # type: ignore[return-value]


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def rounded() -> TwoLayers:
    network = made()
    round_as_bfloat16(network)
    return network


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_network_rounds_as_in_bfloat16(rounded: TwoLayers, pixels: Tensor, tmp_path: Path) -> None:
    expected = made().set_precision(torch.bfloat16)(pixels).float()
    exact = made()(pixels)
    with torch.no_grad():
        found = {"torch": rounded(pixels)}
        file = tmp_path / "rounded.onnx"
        torch.onnx.export(rounded, (pixels,), file, dynamo=True, external_data=False, input_names=["x"], verbose=False)
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    found["ONNX Runtime"] = torch.from_numpy(session.run(None, {"x": pixels.numpy()})[0])
    openvino = import_openvino()
    compiled = openvino.compile_model(openvino.convert_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found["OpenVINO"] = torch.from_numpy(compiled(pixels.numpy())[0].copy())
    for name, values in found.items():
        assert torch.equal(values, values.bfloat16().float()), name
        # A sum that lies between two neighbours goes to either, by its last digit; nearly all are the same.
        assert (values == expected).float().mean() > 0.95, name
        assert (values - expected).abs().max() < (exact - expected).abs().max(), name


def test_the_precision_is_that_of_the_training(fitted: DifferNet) -> None:
    assert as_trained(fitted) == "float32"
    assert as_trained(fitted, "bfloat16") == "bfloat16"
    with pytest.raises(SettingsError, match="int8"):
        as_trained(fitted, "int8")


def test_a_copy_computes_in_its_precision_and_leaves_the_model_as_it_is(fitted: DifferNet) -> None:
    image = inspected()[0]
    before = fitted.score(image)
    twin = in_precision(fitted, "bfloat16")
    assert twin.extraction.dtype == torch.bfloat16
    assert twin.score(image) != before
    assert fitted.extraction.dtype == torch.float32
    assert fitted.score(image) == before
