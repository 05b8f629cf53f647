"""Growing costs, and promises beside what was measured."""

from __future__ import annotations

import pytest

from differnet.bench.bars import compare
from differnet.bench.results import IMAGES, VIEWS, BarResult, CaseResult, Point, Scaling
from differnet.bench.statistics import Spread


def case(name: str, seconds: float, peak: float, images: int = 0) -> CaseResult:
    spread = Spread.of([seconds])
    return CaseResult(name, ("differnet", name), images, spread, spread, Spread.of([peak]))


@pytest.mark.parametrize(
    ("measured", "verdict"), [(None, "not measured"), (1.0, "aim"), (1.5, "bar"), (2.0, "bar"), (2.1, "missed")]
)
def test_a_promise_is_kept_up_to_its_bar(measured: float | None, verdict: str) -> None:
    assert BarResult("what", "s", bar=2, aim=1, measured=measured).verdict == verdict


def test_growth_of_memory_is_told_from_the_largest_two() -> None:
    points = [Point(1000, 52.0, 600), Point(1, 2.05, 300), Point(100, 7.0, 500)]
    scaling = Scaling.of(IMAGES, "images", points)
    assert [point.x for point in scaling.points] == [1, 100, 1000]
    assert scaling.memory_growth == pytest.approx(1.2)
    assert scaling.fit.slope == pytest.approx(0.05)
    assert Scaling.of(VIEWS, "views", [Point(1, 1.0), Point(2, 2.0)]).memory_growth is None


def test_measurements_find_their_promises() -> None:
    images = Scaling.of(IMAGES, "images", [Point(1, 3.1, 400_000_000), Point(11, 4.1, 600_000_000)])
    views = Scaling.of(VIEWS, "views", [Point(2, 0.1), Point(64, 0.5)])
    cases = [case("--help", 0.3, 2e7), case("train", 30, 1.2e9, 209), case("score 1 image", 3.1, 4e8, 1)]
    bars = {bar.what: bar for bar in compare(cases, [images, views], 14_000_000, (448, 448))}
    assert {what: bar.verdict for what, bar in bars.items()} == {
        "train": "aim",
        "score, an image beyond start": "bar",
        "score one image": "bar",
        "score by 64 views, an image": "bar",
        "model file": "aim",
        "peak memory of train": "bar",
        "peak memory of score": "bar",
        "--help": "bar",
    }
    assert bars["score, an image beyond start"].measured == pytest.approx(0.1)
    assert bars["peak memory of score"].measured == pytest.approx(0.6)
    assert "11 images" in bars["peak memory of score"].note
    assert "209 images" in bars["train"].note


def test_what_was_not_measured_is_said_so() -> None:
    views = Scaling.of(VIEWS, "views", [Point(2, 0.1), Point(8, 0.5)])
    bars = compare([], [views], 14_000_000, (448, 448))
    assert [bar.what for bar in bars if bar.measured is not None] == ["model file"]
