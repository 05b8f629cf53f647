"""The coupling block's soft clamp."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from differnet.flow import TWO_OVER_PI, NormalizingFlow


@given(st.floats(0.1, 10.0), st.floats(-1e6, 1e6))
def test_soft_clamp_keeps_log_scales_within_the_clamp(clamp: float, value: float) -> None:
    flow = NormalizingFlow(2, blocks=1, hidden=1, clamp=clamp)
    last = flow.get_submodule("blocks.0.subnet1.6")
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        for subnet in ("subnet1", "subnet2"):
            layer = flow.get_submodule(f"blocks.0.{subnet}.6")
            assert isinstance(layer, torch.nn.Linear)
            layer.weight.zero_()
            layer.bias.copy_(torch.tensor([value, 0.0]))
        log_det = flow(torch.zeros(1, 2))[1].item()
    # Two halves of one feature each: the log-determinant is twice the one log-scale.
    assert abs(log_det) <= 2 * clamp * (1 + 1e-6)
    assert log_det / 2 == pytest.approx(clamp * TWO_OVER_PI * math.atan(value / clamp), rel=1e-4, abs=1e-6)
