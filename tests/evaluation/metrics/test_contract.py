"""What every metric keeps, and that a new one is one class and one registration, wherever metrics are shown."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from differnet.cli.main import app
from differnet.errors import CalibrationError, DatasetError
from differnet.evaluation import Estimate
from differnet.evaluation.goodness_of_fit import GoodnessOfFit
from differnet.evaluation.metrics import METRICS, Evidence, Figure, Metric, Need, measure
from differnet.evaluation.pixel_metrics import PixelMetrics

RUNNER = CliRunner()


class MeanGap(Metric):
    """How far the mean scores of defective and good images lie apart."""

    name = "mean_gap"
    label = "mean gap"
    title = "Gap of the means"
    needs = "scores"

    def measure(self, evidence: Evidence) -> float:
        return float(evidence.defective.mean() - evidence.good.mean())


class BalancedError(Metric):
    """Mean of both errors at the threshold."""

    name = "balanced_error"
    label = "balanced error"
    title = "Both errors' mean"
    needs = "decisions"
    is_share = True

    def measure(self, evidence: Evidence) -> float:
        assert evidence.threshold is not None
        refused, escaped = evidence.good > evidence.threshold, evidence.defective <= evidence.threshold
        return float((refused.mean() + escaped.mean()) / 2)


@pytest.fixture
def toys() -> Iterator[tuple[Metric, ...]]:
    metrics = (MeanGap(), BalancedError())
    for metric in metrics:
        METRICS.register(metric)
    yield metrics
    for metric in metrics:
        del METRICS[metric.name]


@pytest.fixture
def evidence() -> Evidence:
    rng = np.random.default_rng(0)
    pixels = PixelMetrics()
    for _ in range(3):
        heat = rng.random((20, 20), dtype=np.float32)
        truth = np.zeros((20, 20), np.bool_)
        truth[4:8, 4:9] = True
        pixels.add(heat + truth * 0.4, truth)
    good, defective = rng.normal(0, 1, 30), rng.normal(1.5, 1, 20)
    density = GoodnessOfFit(0.1, 0.3, 30)
    return Evidence(good, defective, threshold=1.2, good_regions=(0, 0, 1, 0, 2), pixels=pixels, density=density)


@pytest.mark.parametrize("name", [*METRICS, "mean_gap", "balanced_error"])
@pytest.mark.usefixtures("toys")
def test_every_metric_keeps_the_contract(name: str, evidence: Evidence) -> None:
    metric = METRICS[name]
    before = copy.deepcopy(evidence)
    value = metric.measure(evidence)
    assert value == metric.measure(evidence) == metric.measure(before)
    assert np.array_equal(evidence.good, before.good)
    assert np.array_equal(evidence.defective, before.defective)
    figure = Figure(metric, value)
    assert np.isfinite(figure.number)
    if isinstance(value, Estimate):
        assert value.low <= value.value <= value.high
        assert figure.to_dict() == {name: value.value, f"{name}_ci95": [value.low, value.high]}
    else:
        assert figure.to_dict() == {name: value}
    # Only what it needs decides, and the scores.
    alone = Evidence(evidence.good, evidence.defective)
    given: dict[Need, Evidence] = {
        "scores": alone,
        "decisions": replace(alone, threshold=evidence.threshold),
        "maps": replace(alone, good_regions=evidence.good_regions),
        "masks": replace(alone, pixels=evidence.pixels),
        "density": replace(alone, density=evidence.density),
    }
    assert metric.measure(given[metric.needs]) == value
    assert [need for need, enough in given.items() if enough.has(metric.needs)] == (
        list(given) if metric.needs == "scores" else [metric.needs]
    )


def test_what_is_needed_and_not_there_is_left_out_and_refused_when_asked_for(evidence: Evidence) -> None:
    alone = Evidence(evidence.good, evidence.defective)
    assert list(measure(alone, "scores", "decisions", "maps", "masks", "density")) == [
        "image_auroc",
        "average_precision",
    ]
    for metric in METRICS.values():
        if metric.needs != "scores":
            with pytest.raises((DatasetError, CalibrationError)):
                metric.measure(alone)


@pytest.mark.usefixtures("toys")
def test_a_toy_metric_is_in_the_document_the_text_and_the_report(
    model_file: Path, product: Path, tmp_path: Path
) -> None:
    document = json.loads(RUNNER.invoke(app, ["evaluate", str(model_file), str(product), "--json"]).stdout)
    assert document["mean_gap"] > 0
    assert set(document["per_defect"]) == {"blot", "scratch"}
    assert all(kind["mean_gap"] > 0 for kind in document["per_defect"].values())
    assert document["balanced_error"] == pytest.approx(
        np.mean([document["false_reject_rate"], document["escape_rate"]])
    )
    text = RUNNER.invoke(app, ["evaluate", str(model_file), str(product)]).stdout
    head, *_, everything, _, threshold, density = text.splitlines()
    assert head.endswith("average precision (95 % interval)  mean gap")
    assert everything.endswith(f"  {document['mean_gap']:.4f}")
    assert threshold.endswith(f", balanced error {document['balanced_error']:.4f}")
    assert density.startswith("samples of the density beside good images: energy distance 0.")
    page = tmp_path / "report.html"
    done = RUNNER.invoke(app, ["report", str(model_file), str(product), "-o", str(page)])
    assert done.exit_code == 0, done.output
    shown = page.read_text(encoding="utf-8")
    assert '<th scope="col">Gap of the means</th>' in shown
    assert f'<dt>Gap of the means</dt><dd class="value">{document["mean_gap"]:.3f}</dd>' in shown
    assert "<dt>Both errors&#39; mean</dt>" in shown or "<dt>Both errors' mean</dt>" in shown
