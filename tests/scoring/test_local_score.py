"""The local score and the common scale on which it joins the flow's."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from differnet.scoring import CommonScale, JoinRule, hottest_cells, local_scores

RULES: tuple[JoinRule, ...] = ("sum-of-logarithms", "soft-maximum")

SCORES = st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=12)


# Of the flow and of each local score but the first, which counts 1: two fifths of all are the first's, or the flow's.
WEIGHTS = ((0.5, 0.5, 0.5), (2.0, 1.0, 1.0))


def scale(flow: list[float], local: list[float], rule: JoinRule = "soft-maximum") -> CommonScale:
    return CommonScale.fit(torch.tensor(flow), torch.tensor(local)[:, None], rule)


@given(arrays(np.float32, (5, 7), elements=st.floats(-100, 100, width=32)), st.floats(0.01, 1.0))
def test_the_local_score_is_the_mean_of_the_hottest_share(anomaly: np.ndarray, share: float) -> None:
    count = max(1, int(share * 35))
    expected = np.sort(anomaly.ravel())[-count:].astype(np.float64).mean()
    assert local_scores(torch.from_numpy(anomaly), share).item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_a_tiny_share_is_the_hottest_cell_and_the_whole_is_the_mean() -> None:
    anomaly = torch.tensor([[0.0, 8.0], [1.0, 3.0]])
    assert local_scores(anomaly, 0.001).item() == 8.0
    assert local_scores(anomaly, 1.0).item() == 3.0


@given(SCORES, st.floats(-20, 20), st.floats(-20, 20))
def test_the_soft_maximum_lies_between_the_maximum_and_log_2_above_it(
    scores: list[float], flow: float, local: float
) -> None:
    common = scale(scores, scores[::-1])
    one = torch.tensor([flow], dtype=torch.float64), torch.tensor([local], dtype=torch.float64)
    standardised = (torch.stack(one) - common.usual[:, :1]) / common.usual[:, 1:]
    joined, highest = common.join(one[0], one[1][:, None]).double().item(), standardised.max().item()
    slack = 1e-5 * (1 + abs(highest))
    assert highest - slack <= joined <= highest + math.log(2) + slack


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.01, 5), st.sampled_from(RULES))
def test_a_higher_score_of_either_kind_never_lowers_the_join(
    flow: float, local: float, more: float, rule: JoinRule
) -> None:
    common = scale([0.0, 1.0, 2.0], [3.0, 5.0, 4.0], rule)
    joined = common.join(torch.tensor([flow, flow + more, flow]), torch.tensor([[local], [local], [local + more]]))
    assert joined[1] >= joined[0]
    assert joined[2] >= joined[0]


@given(st.floats(-8, 8), st.floats(-8, 8))
def test_the_sum_of_logarithms_is_what_its_formula_says(flow: float, local: float) -> None:
    common = CommonScale(torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=torch.float64), "sum-of-logarithms")
    expected = sum(math.log1p(math.log1p(math.exp(z)) ** 2) for z in (flow, local))
    assert common.join(torch.tensor([flow]), torch.tensor([[local]])).item() == pytest.approx(expected, abs=1e-5)


def test_a_score_that_is_far_off_on_all_images_does_not_drown_the_other() -> None:
    generator = torch.Generator().manual_seed(0)
    off = 30 + 7.5 * torch.randn(2, 500, generator=generator, dtype=torch.float64)
    good, bad = torch.randn(2, 500, generator=generator, dtype=torch.float64) + torch.tensor([[0.0], [6.0]])
    usual = torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=torch.float64)

    def told_apart(rule: JoinRule) -> float:
        common = CommonScale(usual, rule)
        scores = common.join(off[0], good[:, None]), common.join(off[1], bad[:, None])
        return (scores[1][:, None] > scores[0][None]).double().mean().item()

    assert told_apart("sum-of-logarithms") > 0.95
    assert told_apart("soft-maximum") < 0.6


@pytest.mark.parametrize("rule", RULES)
def test_units_and_offsets_of_the_two_scores_do_not_matter(rule: JoinRule) -> None:
    generator = torch.Generator().manual_seed(0)
    flow, local = torch.randn(2, 30, generator=generator, dtype=torch.float64)
    cells = local[:, None]
    joined = CommonScale.fit(flow, cells, rule).join(flow, cells)
    other = CommonScale.fit(1000 * flow + 7, 0.01 * cells - 3, rule).join(1000 * flow + 7, 0.01 * cells - 3)
    assert torch.allclose(joined, other, atol=1e-5)


def test_scores_are_counted_in_standard_deviations_of_good_images() -> None:
    common = scale([1.0, 3.0], [10.0, 10.0 + 2 * 4.0])
    assert common.usual.tolist() == [[2.0, 1.0], [14.0, 4.0]]
    # Six deviations in the flow, none in the cells: the soft maximum is 6 and a trifle.
    assert common.join(torch.tensor([8.0]), torch.tensor([[14.0]])).item() == pytest.approx(math.log(math.exp(6) + 1))


def test_planes_are_scored_each_for_itself_and_their_evidence_adds_up() -> None:
    planes = torch.tensor([[[0.0, 8.0], [1.0, 3.0]], [[5.0, 1.0], [1.0, 1.0]]])
    assert local_scores(planes, 1.0).tolist() == [3.0, 2.0]
    usual = torch.tensor([[0.0, 1.0], [1.0, 2.0], [1.0, 0.25]], dtype=torch.float64)
    both, second = (CommonScale(of, "sum-of-logarithms") for of in (usual, usual[[0, 2]]))
    flow, planes = torch.tensor([0.5]), torch.tensor([[3.0, 2.0]])
    # One deviation in the first plane, four in the second.
    expected = sum(math.log1p(math.log1p(math.exp(z)) ** 2) for z in (0.5, 1.0, 4.0))
    assert both.join(flow, planes).item() == pytest.approx(expected, abs=1e-5)
    assert both.flow_cut(expected, planes[0].double()) == pytest.approx(0.5, abs=1e-5)
    assert second.join(flow, planes[:, 1:]) < both.join(flow, planes)
    soft = dataclasses.replace(both, rule="soft-maximum")
    assert soft.join(flow, planes).item() == pytest.approx(math.log(sum(map(math.exp, (0.5, 1.0, 4.0)))), abs=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_good_images_that_all_score_the_same_give_finite_scores(rule: JoinRule) -> None:
    common = scale([1.0, 1.0, 1.0], [2.0, 2.0, 2.0], rule)
    joined = common.join(torch.tensor([1.0, 1.5]), torch.tensor([[2.0], [2.0]]))
    assert joined.isfinite().all()
    assert joined[1] > joined[0]


def test_evidence_is_counted_in_deviations_of_what_lies_above_the_median() -> None:
    random = np.random.default_rng(0)
    flow, local = torch.from_numpy(random.normal(3.0, 2.0, 20_001)), torch.from_numpy(random.normal(-1, 0.5, 20_001))
    usual = CommonScale.fit(flow, local[:, None], "sum-of-logarithms").usual
    assert usual.tolist() == [pytest.approx([3.0, 2.0], abs=0.06), pytest.approx([-1.0, 0.5], abs=0.02)]
    # What lies below says nothing.
    lower = torch.where(local < local.median(), local - 1.0, local)
    assert torch.allclose(CommonScale.fit(flow, lower[:, None], "sum-of-logarithms").usual, usual)


def test_a_strange_image_among_few_does_not_hide_others() -> None:
    good = torch.linspace(-1, 1, 30)
    strange = torch.cat([good, torch.tensor([10.0])])
    usual, with_it = (
        CommonScale.fit(scores, scores[:, None], "sum-of-logarithms").usual[0] for scores in (good, strange)
    )
    assert torch.allclose(with_it, usual, rtol=0.1, atol=0.1)


def test_where_most_good_images_score_the_same_a_little_more_is_not_without_bounds() -> None:
    scores = torch.tensor([1.0] * 30 + [1.5])
    assert CommonScale.fit(scores, scores[:, None], "sum-of-logarithms").usual[0, 1] > 0.005


def test_weights_are_of_the_local_scores_that_there_are() -> None:
    usual = torch.tensor([[0.0, 1.0]] * 4, dtype=torch.float64)
    for planes in (1, 2, 3):
        scale = CommonScale(usual[: 1 + planes], "sum-of-logarithms", 0.5, 0.25, 2.0)
        assert scale.weights == [0.5, 1.0, 0.25, 2.0][: 1 + planes]


@given(st.integers(1, 5000), st.floats(0.0001, 1.0))
def test_a_share_up_to_1_and_a_number_above_it_are_of_1_to_all_cells(cells: int, share: float) -> None:
    assert 1 <= hottest_cells(share, cells) <= cells
    assert hottest_cells(1.0, cells) == cells
    assert hottest_cells(8.0, cells) == min(8, cells)


@given(st.floats(-2, 40))
def test_a_joined_score_amounts_to_the_deviations_of_what_counts_two_fifths_where_the_rest_is_as_usual(
    deviations: float,
) -> None:
    standard = torch.tensor([[0.0, 1.0]] * 4, dtype=torch.float64)
    usual = torch.zeros(1, 3)
    far, own = usual.clone(), torch.tensor([deviations])
    far[0, 0] = deviations
    by_weights = [CommonScale(standard, "sum-of-logarithms", *weights) for weights in WEIGHTS]
    details, no_details = by_weights
    assert details.deviations(details.join(usual[0, :1], far)).item() == pytest.approx(deviations, abs=0.01)
    assert no_details.deviations(no_details.join(own, usual)).item() == pytest.approx(deviations, abs=0.01)


@given(st.floats(-2, 40))
def test_a_soft_maximum_amounts_to_no_less_than_the_cells(deviations: float) -> None:
    common = scale([-1.0, 1.0], [-1.0, 1.0])
    found = common.deviations(common.join(torch.tensor([0.0]), torch.tensor([[deviations]]))).item()
    assert found >= max(deviations, 0.0) - 1e-5


def test_below_what_is_usual_deviations_are_finite() -> None:
    common = scale([-1.0, 1.0], [-1.0, 1.0], "sum-of-logarithms")
    assert common.deviations(common.join(torch.tensor([-9.0]), torch.tensor([[-9.0]]))).item() == -4.0


def test_the_weight_is_how_much_the_flow_counts() -> None:
    whole = scale([-1.0, 1.0], [-1.0, 1.0], "sum-of-logarithms")
    half = dataclasses.replace(whole, flow_weight=0.5)
    usual = torch.tensor([-40.0])  # no evidence at all
    assert torch.allclose(
        half.join(torch.tensor([3.0]), usual[:, None]), 0.5 * whole.join(torch.tensor([3.0]), usual[:, None])
    )
    assert torch.equal(half.join(usual, torch.tensor([[3.0]])), whole.join(usual, torch.tensor([[3.0]])))
