"""bfloat16 by rounding: what a network gives where the hardware computes in bfloat16, it gives elsewhere too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from differnet import DifferNet, Settings
from differnet.extractors import build_extractor, find_weights
from differnet.extractors.rounding import round_as_bfloat16
from differnet.images import load_image
from differnet.views import resize


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "efficientnet-lite0"])
def test_features_by_rounding_are_those_in_bfloat16_but_for_noise(name: str, official_image: Path) -> None:
    pixels = torch.tensor(resize(load_image(official_image), 320))[None].permute(0, 3, 1, 2).float() / 255
    weights = find_weights(name)
    exact, half, rounded = (build_extractor(name, weights) for _ in range(3))
    half.set_precision(torch.bfloat16)
    round_as_bfloat16(rounded)
    of_exact, of_half, of_rounded = (network.forward_stages(pixels, -1) for network in (exact, half, rounded))
    for in_float32, expected, found in zip(of_exact, of_half, of_rounded, strict=True):
        assert torch.equal(found, found.bfloat16().float())
        # The mean over an image is what a flow sees: float32 is off to one side there, rounding is not.
        off = (found - expected.float()).mean((2, 3)).norm()
        assert off < 0.2 * (in_float32 - expected.float()).mean((2, 3)).norm()


def test_gradients_pass_the_rounding() -> None:
    extractor = build_extractor("alexnet", find_weights("alexnet"))
    round_as_bfloat16(extractor)
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    extractor(pixels).sum().backward()
    assert pixels.grad is not None
    assert pixels.grad.abs().sum() > 0


def test_a_model_computes_in_what_it_was_trained_in(
    product: Path, small_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small_settings.with_overrides({"extractor.precision": "bfloat16", "training.epochs": 1})
    images = sorted(product.glob("test/*/*.png"))
    scores = {}
    for fast in (True, False):
        monkeypatch.setattr("differnet.features.network.has_fast_bfloat16", lambda device, fast=fast: fast)
        if fast:
            DifferNet(settings, device="cpu").fit(product).save(tmp_path / "m.safetensors")
        # The setting would be read as float32 on a processor without bfloat16; what counts is what was trained in.
        model = DifferNet.load(tmp_path / "m.safetensors", device="cpu")
        auto = model.settings.with_overrides({"extractor.precision": "auto"})
        manifest = model.fitted.manifest.model_copy(update={"settings": auto})
        model = model.with_model(replace(model.fitted, manifest=manifest), device="cpu")
        assert model.extraction.dtype == torch.bfloat16
        scores[fast] = model.score(images)
    np.testing.assert_allclose(scores[False], scores[True], rtol=2e-2)
