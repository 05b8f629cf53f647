"""The flow: parity with the official code, invertibility, log-determinant, soft clamp."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from differnet.errors import SettingsError
from differnet.flow import NormalizingFlow, negative_log_likelihood
from differnet.flow.coupling import OFFICIAL_CLAMP_FACTOR
from differnet.model_file.official import read_official_flow
from tests.conftest import OFFICIAL

shapes = st.tuples(st.integers(2, 9), st.integers(1, 4), st.integers(1, 16), st.floats(0.5, 5.0), st.integers(0, 2**16))


def random_flow(shape: tuple[int, int, int, float, int]) -> NormalizingFlow:
    features, blocks, hidden, clamp, seed = shape
    torch.manual_seed(seed)
    flow = NormalizingFlow(features, blocks, hidden, clamp, permutation_seed=seed).double()
    for parameter in flow.parameters():
        # Larger than a fresh initialisation, so that scales and shifts are far from the identity.
        torch.nn.init.normal_(parameter, std=0.2)
    return flow.eval()


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return ((actual - expected).abs().max() / expected.abs().max()).item()


@pytest.fixture(scope="module")
def official_flow() -> NormalizingFlow:
    state, shape = read_official_flow(OFFICIAL / "official_flow_state.safetensors")
    flow = NormalizingFlow(shape.features, shape.blocks, shape.hidden, clamp_factor=OFFICIAL_CLAMP_FACTOR)
    flow.load_state_dict(state, strict=False)
    return flow.eval()


@torch.no_grad()
def test_forward_and_inverse_agree_with_the_official_code(
    official_flow: NormalizingFlow, official_outputs: dict[str, torch.Tensor]
) -> None:
    z, log_det = official_flow(official_outputs["flow_input_y"])
    loss = negative_log_likelihood(z, log_det).mean()
    inverse = official_flow.inverse(official_outputs["flow_output_z"])
    assert relative_error(z, official_outputs["flow_output_z"]) < 1e-4
    assert relative_error(log_det, official_outputs["flow_log_det_jacobian"]) < 1e-4
    assert relative_error(loss, official_outputs["flow_loss"]) < 1e-4
    assert relative_error(inverse, official_outputs["flow_inverse_of_z"]) < 1e-4


def test_default_permutations_are_the_official_ones(official_outputs: dict[str, torch.Tensor]) -> None:
    state = NormalizingFlow(768, hidden=1).state_dict()
    permutations = torch.stack([state[f"blocks.{k}.permutation"] for k in range(8)])
    assert torch.equal(permutations, official_outputs["permutations"])


@settings(deadline=None, max_examples=40)
@given(shapes)
def test_log_det_is_that_of_autograds_jacobian(shape: tuple[int, int, int, float, int]) -> None:
    flow = random_flow(shape)
    y = torch.randn(3, shape[0], dtype=torch.float64)
    _, log_det = flow(y)
    for row, expected in zip(y, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda v: flow(v.unsqueeze(0))[0].squeeze(0), row)
        assert torch.linalg.slogdet(jacobian).logabsdet.item() == pytest.approx(expected.item(), abs=1e-8)


@settings(deadline=None, max_examples=40)
@given(shapes)
@torch.no_grad()
def test_inverse_undoes_forward(shape: tuple[int, int, int, float, int]) -> None:
    flow = random_flow(shape)
    y = torch.randn(5, shape[0], dtype=torch.float64) * 2
    assert torch.allclose(flow.inverse(flow(y)[0]), y, rtol=1e-6, atol=1e-6)


@torch.no_grad()
def test_samples_follow_the_learnt_density() -> None:
    flow = random_flow((3, 2, 4, 3.0, 1)).float()
    samples = flow.sample(2000, torch.Generator().manual_seed(0))
    z, _ = flow(samples)
    assert samples.shape == (2000, 3)
    assert z.mean().abs() < 0.1
    assert (z.std() - 1).abs() < 0.1


def test_wild_input_gives_finite_output() -> None:
    z, log_det = NormalizingFlow(4, blocks=8, hidden=8)(torch.full((1, 4), 1e30))
    assert torch.isfinite(z).all()
    assert torch.isfinite(log_det).all()


def test_loss_is_the_normal_densitys_up_to_constants() -> None:
    z = torch.randn(7, 5)
    density = torch.distributions.Normal(0, 1).log_prob(z).sum(1)
    expected = (-density - 5 / 2 * math.log(2 * math.pi)) / 5
    assert torch.allclose(negative_log_likelihood(z, torch.zeros(7)), expected, atol=1e-6)


@pytest.mark.parametrize(
    "arguments", [(1, 8, 4, 3.0), (4, 0, 4, 3.0), (4, 1, 0, 3.0), (4, 1, 1, 0.0), (4, 1, 1, np.nan)]
)
def test_impossible_shapes_are_refused(arguments: tuple[int, int, int, float]) -> None:
    with pytest.raises(SettingsError):
        NormalizingFlow(*arguments)


def test_permutations_travel_with_the_weights(tmp_path: Path) -> None:
    first, second = NormalizingFlow(8, 2, 4, permutation_seed=5), NormalizingFlow(8, 2, 4)
    y = torch.randn(3, 8)
    assert not torch.equal(first(y)[0], second(y)[0])
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(y)[0], second(y)[0])
