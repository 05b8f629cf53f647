"""Ceilings, stages and scaling of a small model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from differnet import DifferNet
from differnet.bench.ceilings import measure_ceilings
from differnet.bench.results import Ceilings, Product
from differnet.bench.scaling import Variants, scale_extractor_size, scale_image_size, scale_views
from differnet.bench.stages import measure_stages, seconds_per_image
from differnet.errors import ImageError
from differnet.features import FeatureNetwork
from differnet.flow import build_density_model
from differnet.images import RegionOfInterest, read_test_images
from differnet.settings import preset

# Of a made-up machine, so that shares can be computed by hand.
CEILINGS = Ceilings(Product(64, 1.0), Product(64, 1.0), 1.0, "cpu", 1, "2")


@pytest.fixture(scope="module")
def images(product: Path) -> list[Path]:
    return [image.path for image in read_test_images(product)][:2]


def test_ceilings_are_positive_and_keep_their_budget() -> None:
    found = measure_ceilings(torch.device("cpu"), budget_seconds=0.0, repetitions=1)
    assert (found.float32.side, found.bfloat16.side) == (256, 256)
    assert min(found.float32.gflops, found.bfloat16.gflops, found.copy_gbytes) > 0
    assert found.threads == torch.get_num_threads()
    larger = measure_ceilings(torch.device("cpu"), budget_seconds=0.5, repetitions=1)
    assert 256 < larger.float32.side <= 4096


def test_stages_are_all_there_and_their_figures_agree(fitted: DifferNet, images: list[Path]) -> None:
    report = measure_stages(fitted, images, CEILINGS, 1)
    assert [stage.name for stage in report.stages] == ["decode", "resize", "views", "extract", "flow"]
    assert (report.images, report.views, report.precision) == (2, 4, "float32")
    assert sum(stage.share for stage in report.stages) == pytest.approx(1.0)
    assert sum(stage.milliseconds for stage in report.stages) == pytest.approx(report.sum_milliseconds)
    decode, _, _, extract, flow = report.stages
    assert decode.gflop == 0.0
    assert decode.megabytes == pytest.approx(96 * 96 * 3 / 1e6)
    # At a billion operations or bytes a second, the least milliseconds are millions of either.
    for stage in report.stages:
        assert stage.ceiling_share == pytest.approx(
            max(1e3 * stage.gflop, stage.megabytes) / stage.milliseconds, rel=1e-6
        )
    shape = fitted.extraction.features, fitted.settings.flow
    weights = sum(p.numel() for p in build_density_model(*shape).parameters())
    # Two operations a weight, of each of 4 views; biases and a few other additions are not products.
    assert flow.gflop == pytest.approx(4 * 2 * weights / 1e9, rel=0.05)
    assert extract.gflop > flow.gflop


def test_the_operations_of_the_extractor_are_those_of_its_convolutions(fitted: DifferNet, images: list[Path]) -> None:
    extract = measure_stages(fitted, images, CEILINGS, 1).stages[3]
    expected = 0
    extraction: FeatureNetwork = fitted.extraction.network

    def count(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal expected
        if isinstance(module, torch.nn.Conv2d):
            expected += 2 * output.numel() * module.weight[0].numel()

    hooks = [module.register_forward_hook(count) for module in extraction.extractor.modules()]
    extraction.pool(extraction.extractor, torch.zeros(4, 3, extraction.size, extraction.size))
    for hook in hooks:
        hook.remove()
    assert extract.gflop == pytest.approx(expected / 1e9)


def test_a_model_with_a_local_score_has_its_stages_too(
    small_settings: object, product: Path, images: list[Path]
) -> None:
    changed = small_settings.with_overrides(  # type: ignore[attr-defined]
        {
            "scoring.local": True,
            "views.kind": "none",
            "views.count": 1,
            "views.training_count": 1,
            "extractor.scales": 1,
            "training.epochs": 1,
        }
    )
    region = RegionOfInterest.from_box((8, 8, 80, 80), (96, 96))
    model = DifferNet(changed, device="cpu", region=region).fit(product)
    report = measure_stages(model, images, CEILINGS, 1)
    assert [stage.name for stage in report.stages][-3:] == ["extract, cells", "local model", "flow"]
    assert report.stages[0].megabytes == pytest.approx(80 * 80 * 3 / 1e6)
    local = report.stages[-2]
    assert local.gflop > 0
    assert local.milliseconds > 0


def test_an_image_that_cannot_be_read_is_named(fitted: DifferNet, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(ImageError, match=r"text\.png"):
        seconds_per_image(fitted, [tmp_path / "text.png"], 1)


def test_more_views_and_more_pixels_cost_more(model_file: Path, images: list[Path], tmp_path: Path) -> None:
    variants = Variants(model_file, tmp_path, device="cpu", weights=None)
    views = scale_views(variants, images, 2, quick=True)
    assert [point.x for point in views.points] == [2, 4, 8]
    assert views.points[-1].seconds > views.points[0].seconds
    assert views.fit.slope > 0
    sizes = scale_extractor_size(variants, images, 2, quick=True)
    # Two scales need 128 pixels, which is what the model has.
    assert [point.x for point in sizes.points] == pytest.approx([128**2 / 1e6, 256**2 / 1e6])
    assert sizes.points[1].seconds > sizes.points[0].seconds


def test_image_files_are_written_at_other_sizes(fitted: DifferNet, images: list[Path], tmp_path: Path) -> None:
    scaling = scale_image_size(fitted, images, tmp_path, 1, quick=True)
    assert [point.x for point in scaling.points] == pytest.approx([48**2 / 1e6, 96**2 / 1e6, 192**2 / 1e6])
    assert len([*tmp_path.iterdir()]) == 6


def test_stages_of_a_model_that_sees_images_at_two_sizes(product: Path, images: list[Path]) -> None:
    overrides = {"views.size": 96, "views.flow_size": 64, "training.epochs": 1, "localization.components": 8}
    model = DifferNet(preset("default").with_overrides(overrides), device="cpu").fit(product)
    report = measure_stages(model, images[:2], CEILINGS, 1)
    assert [stage.name for stage in report.stages] == [
        "decode",
        "resize",
        "views",
        "extract",
        "cells",
        "local model",
        "flow",
    ]
    assert all(stage.milliseconds > 0 for stage in report.stages)
