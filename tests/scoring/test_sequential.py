"""Sequential scoring: fewer views, the decision of all of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from differnet import DifferNet, Settings, Verdict
from differnet.scoring import CommonScale, JoinRule
from differnet.scoring.sequential import SequentialTest, spread_out

RULES: tuple[JoinRule, ...] = ("sum-of-logarithms", "soft-maximum")
MANY_VIEWS = {
    "views.kind": "rotations",
    "views.count": 16,
    "views.training_count": 2,
    "extractor.scales": 1,
    "scoring.error_probability": 0.001,
}


@given(st.integers(0, 200))
def test_spreading_out_keeps_every_item_once(count: int) -> None:
    assert sorted(spread_out(range(count))) == [*range(count)]


def test_the_first_of_64_rotations_are_45_degrees_apart() -> None:
    assert sorted(spread_out([i * 360 / 64 for i in range(64)])[:8]) == [i * 45.0 for i in range(8)]


@given(st.integers(1, 64), st.integers(0, 64), st.floats(0, 0.4), st.randoms(use_true_random=False))
def test_what_is_settled_without_error_is_the_side_of_all_views(
    count: int, seen: int, cut: float, random: object
) -> None:
    scores = torch.tensor([random.random() for _ in range(count)], dtype=torch.float64)  # type: ignore[attr-defined]
    for aggregation, score in (("median", torch.quantile(scores, 0.5)), ("mean", scores.mean())):
        test = SequentialTest(count, 0.0, aggregation)  # type: ignore[arg-type]
        first = scores[: min(seen, count)]
        if 0 < len(first) < count and test.settled(first, cut):
            partial = torch.quantile(first, 0.5) if aggregation == "median" else torch.tensor(math.inf)
            assert (score > cut) == (partial > cut)


def test_the_chance_is_the_hypergeometric_one() -> None:
    test = SequentialTest(64, 0.001, "median")
    for count, most in ((8, 8), (16, 15), (24, 20)):
        assert test._chance(most, count) == pytest.approx(hypergeom.sf(most - 1, 64, 32, count))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_wrong_decisions_on_split_views_are_rarer_than_stated(seed: int) -> None:
    """The hardest case: half of the views lie on either side but for one."""
    rng = np.random.default_rng(seed)
    test = SequentialTest(64, 0.05, "median")
    wrong = 0
    for _ in range(200):
        scores = torch.from_numpy(rng.permutation([0.0] * 33 + [1.0] * 31))
        for taken in range(test.group, 65, test.group):
            if test.settled(scores[:taken], 0.5):
                wrong += bool(torch.quantile(scores[:taken], 0.5) > 0.5)
                break
    # 0.05 of 200 are 10; 24 would be 4.5 standard deviations more.
    assert wrong < 24


def test_clear_cases_take_a_quarter_of_the_views_and_doubtful_ones_all() -> None:
    test = SequentialTest(64, 0.001, "median")
    assert not test.settled(torch.ones(8), 0.5)
    assert test.settled(torch.ones(16), 0.5)
    assert test.settled(torch.zeros(16), 0.5)
    assert not test.settled(torch.arange(56).float(), 27.5)
    assert test.settled(torch.arange(64).float(), 27.5)


@given(st.floats(-3, 6), st.floats(-3, 6), st.floats(-3, 6), st.sampled_from(RULES), st.sampled_from([0.5, 1.0]))
def test_the_cut_of_the_flow_is_where_the_join_crosses(
    flow: float, local: float, cut: float, rule: JoinRule, weight: float
) -> None:
    scale = CommonScale(torch.tensor([[2.0, 0.5], [1.0, 3.0]], dtype=torch.float64), rule, weight)
    joined = scale.join(torch.tensor([flow], dtype=torch.float64), torch.tensor([[local]], dtype=torch.float64)).item()
    if abs(joined - cut) > 1e-5:
        assert (flow > scale.flow_cut(cut, torch.tensor([local], dtype=torch.float64))) == (joined > cut)


@pytest.fixture(scope="module", params=[False, True], ids=["flow", "joined"])
def many_views(request: pytest.FixtureRequest, product: Path, small_settings: Settings) -> DifferNet:
    chosen = MANY_VIEWS | {"scoring.local": request.param}
    return DifferNet(small_settings.with_overrides(chosen), device="cpu").fit(product)


def test_the_decisions_are_those_of_all_views_by_fewer(many_views: DifferNet, product: Path) -> None:
    images = sorted((product / "test").glob("*/*.png"))
    used = []
    for short, full in zip(
        many_views.inspect_stream(images), many_views.inspect_stream(images, all_views=True), strict=True
    ):
        assert isinstance(short, Verdict)
        assert isinstance(full, Verdict)
        assert short.decision == full.decision
        assert full.views == 16
        assert 1 <= short.views <= 16
        if short.views == 16:
            assert short.score == pytest.approx(full.score, rel=1e-4)
        used.append(short.views)
    assert np.mean(used) < 12


def test_scores_asked_for_alone_are_those_of_all_views(many_views: DifferNet, product: Path) -> None:
    images = sorted((product / "test" / "blot").iterdir())
    full = [result.score for result in many_views.inspect_stream(images, all_views=True)]  # type: ignore[union-attr]
    assert many_views.score(images).tolist() == pytest.approx(full)


def test_what_was_prepared_takes_no_more_views_than_settle_it_either(many_views: DifferNet, product: Path) -> None:
    images = sorted((product / "test").glob("*/*.png"))[:6]
    prepared = many_views.inspect_prepared([many_views.prepare(image) for image in images])
    for result, expected in zip(prepared, many_views.inspect_stream(images), strict=True):
        assert isinstance(result, Verdict) and isinstance(expected, Verdict)
        assert (result.views, result.decision) == (expected.views, expected.decision)
        assert result.score == pytest.approx(expected.score, rel=1e-4)
