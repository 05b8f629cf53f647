"""The module that is exported says of images what the model says, for all that a model can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from differnet import DifferNet, RegionOfInterest
from differnet.errors import NotFittedError, SettingsError
from differnet.export.graph import InspectionGraph
from differnet.export.judge import DECISIONS
from differnet.inspection.verdict import Verdict
from differnet.settings import preset
from tests.conftest import SMALL
from tests.export.files import HEIGHT, WIDTH, inspected, plates, tall

pytestmark = pytest.mark.filterwarnings("ignore:Pred is a Python constant")


def fitted(overrides: dict[str, Any], region: RegionOfInterest | None = None) -> DifferNet:
    settings = preset("default").with_overrides({**SMALL, "training.epochs": 2, **overrides})
    good = plates(24)
    return DifferNet(settings, region=region, device="cpu").fit(good if region is None else [tall(i) for i in good])


def assert_agrees(model: DifferNet, images: list[NDArray[np.uint8]], *, with_map: bool) -> None:
    graph = InspectionGraph(model, with_map=with_map).eval()
    for image in images:
        verdict = next(iter(model.inspect_stream([image], all_views=True)))
        assert isinstance(verdict, Verdict)
        with torch.no_grad():
            outputs = dict(zip(graph.outputs, graph(torch.from_numpy(image.copy())), strict=True))
        assert outputs["score"].dtype == torch.float32
        assert outputs["score"].item() == pytest.approx(verdict.score, rel=1e-4, abs=1e-4)
        if verdict.decision is not None:
            assert DECISIONS[int(outputs["decision"])] == verdict.decision
            assert outputs["p_value"].item() == pytest.approx(verdict.p_value)
            assert outputs["margin"].item() == pytest.approx(verdict.margin, abs=1e-3)
        if with_map:
            heat = model.explain(image)
            assert outputs["map"].shape == heat.shape
            np.testing.assert_allclose(outputs["map"].numpy(), heat, rtol=1e-3, atol=1e-3 * heat.max())


VIEWS: dict[str, dict[str, Any]] = {
    "none": {"views.kind": "none", "views.count": 1, "views.training_count": 1, "extractor.scales": 1},
    "flips": {"views.kind": "flips"},
    "symmetries": {"views.kind": "symmetries", "views.count": 7},
    "rotations": {"views.kind": "rotations", "views.count": 10, "scoring.aggregation": "mean"},
}


@pytest.mark.parametrize("overrides", VIEWS.values(), ids=VIEWS)
def test_views_of_all_kinds(overrides: dict[str, Any]) -> None:
    assert_agrees(fitted(overrides), inspected(), with_map=True)


def test_an_odd_size_and_features_of_other_stages() -> None:
    overrides = {"views.size": 149, "extractor.stages": [-3, -1], "extractor.deviation": True, "flow.whiten": True}
    assert_agrees(fitted(overrides), inspected(), with_map=True)


@pytest.mark.parametrize("tall_images", [False, True])
def test_tiles_of_long_images(tall_images: bool) -> None:
    def strip(places: tuple[int, ...]) -> NDArray[np.uint8]:
        row = np.concatenate([good[place] for place in places], axis=1)
        return np.ascontiguousarray(row.swapaxes(0, 1)) if tall_images else row

    good, shown = plates(24), inspected()
    strips = [strip((place, (place + 5) % 24, (place + 11) % 24, (place + 7) % 24)) for place in range(24)]
    settings = preset("default").with_overrides({**SMALL, "training.epochs": 1, "views.tiles": "auto"})
    mask = np.ones(strips[0].shape[:2], bool)
    mask[:9, :9] = False
    region = RegionOfInterest(mask) if tall_images else None
    model = DifferNet(settings, region=region, device="cpu").fit(strips)
    assert model.settings.views.tiles == ("2x1" if tall_images else "1x2")
    good = [*good, *shown]
    images = [strip((1, 2, place, 3)) for place in (24, 28, 31)]
    assert_agrees(model, images, with_map=True)


def test_images_of_all_sizes(fitted: DifferNet) -> None:
    rng = np.random.default_rng(0)
    sizes = [(16, 16), (128, 128), (200, 150), (150, 333), (500, 100)]
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    assert_agrees(fitted, images, with_map=True)


def test_a_box_as_region() -> None:
    region = RegionOfInterest.from_box((10, 20, 70, 64), (WIDTH, HEIGHT))
    assert_agrees(fitted({}, region), [tall(image) for image in inspected()], with_map=True)


def test_a_model_without_threshold_gives_the_score_alone() -> None:
    model = fitted({"calibration.method": "none"})
    assert InspectionGraph(model).outputs == ("score",)
    assert_agrees(model, inspected()[:2], with_map=True)


def test_maps_by_gradient_are_refused() -> None:
    model = fitted({"localization.method": "gradient", "training.epochs": 1})
    with pytest.raises(SettingsError, match="gradient"):
        InspectionGraph(model, with_map=True)
    assert_agrees(model, inspected()[:2], with_map=False)


def test_a_model_that_has_learnt_nothing_is_refused() -> None:
    with pytest.raises(NotFittedError):
        InspectionGraph(DifferNet("default", device="cpu"))


def test_bfloat16_is_rounded_as_torch_does() -> None:
    overrides = {"extractor.name": "efficientnet-lite0", "extractor.precision": "bfloat16", "extractor.scales": 1}
    model = fitted(overrides)
    rounded = InspectionGraph(model, precision="bfloat16").eval()
    for image in inspected():
        verdict = next(iter(model.inspect_stream([image], all_views=True)))
        assert isinstance(verdict, Verdict)
        with torch.no_grad():
            score = rounded(torch.from_numpy(image))[0].item()
        assert score == pytest.approx(verdict.score, rel=0.03)
