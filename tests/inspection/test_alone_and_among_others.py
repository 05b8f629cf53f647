"""An image has one score, whoever it comes with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from differnet import DifferNet, Settings, Verdict
from differnet.inspection.explanation import Explanation


@pytest.fixture(scope="module", params=["alexnet", "efficientnet-lite0"])
def model(request: pytest.FixtureRequest, product: Path, small_settings: Settings) -> DifferNet:
    """Of a network that torch runs, and of one that OpenVINO does, where that is installed."""
    changes = {
        "extractor.name": request.param,
        "extractor.scales": 1,
        "views.kind": "none",
        "views.count": 1,
        "views.training_count": 1,
        "calibration.method": "cross-fitted",
        "calibration.folds": 3,
        "scoring.local": True,
        "training.epochs": 1,
    }
    return DifferNet(small_settings.with_overrides(changes), device="cpu").fit(product)


def test_an_image_scores_the_same_alone_and_among_others(model: DifferNet, product: Path) -> None:
    paths = sorted((product / "test").glob("*/*.png"))
    threads = torch.get_num_threads()
    # By torch, the threads that share a network round otherwise than a single one.
    torch.set_num_threads(1)
    try:
        together = [result.score for result in model.inspect_stream(paths) if isinstance(result, Verdict)]
        alone = [model.inspect(path).score for path in paths]
        fresh = model.with_model(model.fitted, "cpu")
        first = [fresh.inspect(path).score for path in paths[-1:]]
        explained = [each.verdict.score for each in model.explain_stream(paths) if isinstance(each, Explanation)]
        samples = [model.prepare(path) for path in paths]
        pairs = [model.inspect_prepared(samples[place : place + 2]) for place in range(0, len(paths), 2)]
    finally:
        torch.set_num_threads(threads)
    prepared = [result.score for pair in pairs for result in pair if isinstance(result, Verdict)]
    assert len(together) == len(paths)
    assert together == alone == explained == prepared
    assert first == together[-1:]
