"""Scores: parity with the official score, relation to the likelihood, aggregation."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from differnet.flow import NormalizingFlow
from differnet.scoring import aggregate, score_features


def test_a_score_is_the_negative_log_density_up_to_scale_and_offset() -> None:
    torch.manual_seed(0)
    flow, features = NormalizingFlow(6, 2, 8).eval(), torch.randn(3, 5, 6)
    with torch.no_grad():
        z = flow(features.flatten(0, 1))[0].view(3, 5, 6)
    density = torch.distributions.Normal(0, 1).log_prob(z).sum(2)
    expected = (-density).mean(1)
    scores = score_features(flow, features, "mean")
    assert torch.allclose(6 / 2 * (scores + math.log(2 * math.pi)), expected, atol=1e-4)


@given(st.lists(st.floats(0, 100, width=32), min_size=1, max_size=9))
def test_the_median_ignores_an_outlier_view_and_the_mean_does_not(views: list[float]) -> None:
    calm = torch.tensor([views + views])
    outlier = torch.tensor([views + views + [1e6]])
    assert aggregate(outlier, "median").item() <= max(views) * (1 + 1e-6)
    assert aggregate(outlier, "mean").item() > 1e4
    assert aggregate(calm, "mean").item() == pytest.approx(sum(views) / len(views), rel=1e-4, abs=1e-4)


def test_the_median_of_an_even_number_is_the_mean_of_the_middle_two() -> None:
    assert aggregate(torch.tensor([[4.0, 1.0, 2.0, 9.0]]), "median").item() == 3.0
