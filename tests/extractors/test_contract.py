"""What `Extractor` promises holds for all in the catalogue, a user's own, and a toy that is registered."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from differnet import DifferNet, Settings
from differnet.compute.openvino_graph import CompiledGraph
from differnet.compute.openvino_runtime import has_openvino, import_openvino
from differnet.extractors import CATALOGUE, CatalogueEntry, Extractor, WeightsSource, find_weights
from differnet.extractors.openvino_stages import build_stages, can_compile
from tests.extractors.test_custom import by_list, by_names


class Ripples(Extractor):
    """Waves of eight directions at three sizes: nothing is learnt."""

    channels = 8
    stage_channels = (8, 8)

    def __init__(self) -> None:
        super().__init__()
        rows, columns = torch.meshgrid(torch.arange(7.0) - 3, torch.arange(7.0) - 3, indexing="ij")
        angles = torch.arange(8) * torch.pi / 8
        waves = torch.stack([torch.sin(rows * angle.sin() + columns * angle.cos()) for angle in angles])
        self.waves = nn.Conv2d(1, 8, 7, padding=3, bias=False)
        self.waves.weight.data = waves[:, None]

    def stages(self, normalised: Tensor) -> Iterator[Tensor]:
        grey = normalised.mean(dim=1, keepdim=True)
        for shrunk in (8, 2, 2):
            grey = functional.avg_pool2d(grey, shrunk)
            yield self.waves(grey).relu()


TOY = CatalogueEntry("ripples", Ripples)
NAMES = [*CATALOGUE, TOY.name, "own-by-names", "own-by-list"]


@pytest.fixture(scope="module", params=NAMES)
def extractor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Extractor:
    """Each with its weights; random ones stand in for those that no package carries."""
    if request.param.startswith("own"):
        return (by_names() if request.param == "own-by-names" else by_list()).freeze()
    entry = TOY if request.param == TOY.name else CATALOGUE[request.param]
    file = None
    if entry.source is not None and entry.source.requirement is None:
        torch.manual_seed(0)
        file = tmp_path_factory.mktemp("weights") / f"{entry.name}.pth"
        torch.save(entry.network().state_dict(), file)
    return entry.build(entry.find_weights(file, download=False))


def images(size: int = 96, count: int = 1) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(size))


def all_maps(extractor: Extractor, pixels: Tensor) -> list[Tensor]:
    return extractor.forward_stages(pixels, -1)


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    assert len(found) == len(expected)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize("size", [64, 96, 225, 320])
def test_the_maps_have_the_declared_channels_and_sides_that_never_grow(extractor: Extractor, size: int) -> None:
    maps = all_maps(extractor, images(size))
    assert tuple(of_stage.shape[1] for of_stage in maps) == (*extractor.stage_channels, extractor.channels)
    sides = [of_stage.shape[2] for of_stage in maps]
    assert sides == [of_stage.shape[3] for of_stage in maps]
    assert sides == sorted(sides, reverse=True)
    assert min(abs(side - size / 16) for side in sides[:-1]) <= 2
    assert all(of_stage.isfinite().all() for of_stage in maps)


def test_stages_are_those_of_forward_and_as_many_as_asked_for(extractor: Extractor) -> None:
    pixels = images()
    maps = all_maps(extractor, pixels)
    assert_same(list(extractor.stages((pixels - extractor._mean) / extractor._std)), maps)
    assert torch.equal(extractor(pixels), maps[-1])
    for last in range(-len(maps), 0):
        assert_same(extractor.forward_stages(pixels, last), maps[: len(maps) + 1 + last])
    assert extractor.place_of(-1) == len(maps) - 1


def test_the_same_image_gives_the_same_bits_and_leaves_nothing_behind(extractor: Extractor) -> None:
    before = {name: tensor.clone() for name, tensor in extractor.state_dict().items()}
    assert_same(all_maps(extractor, images()), all_maps(extractor, images()))
    assert all(torch.equal(tensor, before[name]) for name, tensor in extractor.state_dict().items())


def test_an_image_gives_the_same_beside_others(extractor: Extractor) -> None:
    several = images(count=3)
    for together, alone in zip(all_maps(extractor, several), all_maps(extractor, several[1:2]), strict=True):
        torch.testing.assert_close(together[1:2], alone, rtol=1e-3, atol=1e-3)


def test_it_is_frozen_and_gradients_reach_the_pixels(extractor: Extractor) -> None:
    assert not any(module.training for module in extractor.modules())
    assert not any(parameter.requires_grad for parameter in extractor.parameters())
    pixels = images().requires_grad_()
    sum(of_stage.square().sum() for of_stage in all_maps(extractor, pixels)).backward()  # type: ignore[union-attr]
    assert pixels.grad is not None
    assert pixels.grad.isfinite().all()
    assert pixels.grad.abs().max() > 0


def test_precision_is_that_of_all_maps(extractor: Extractor) -> None:
    exact = all_maps(extractor, images())
    half = all_maps(copy.deepcopy(extractor).set_precision(torch.bfloat16), images())
    assert {of_stage.dtype for of_stage in exact} == {torch.float32}
    assert {of_stage.dtype for of_stage in half} == {torch.bfloat16}
    for coarse, fine in zip(half, exact, strict=True):
        assert 0 < (coarse.float() - fine).norm() <= 0.1 * fine.norm()


def test_copies_give_the_same(extractor: Extractor) -> None:
    expected = all_maps(extractor, images())
    assert_same(all_maps(copy.deepcopy(extractor), images()), expected)
    assert_same(all_maps(pickle.loads(pickle.dumps(extractor)), images()), expected)


@torch.no_grad()
def test_openvino_gives_the_same_where_it_can(extractor: Extractor) -> None:
    assert can_compile(extractor) == (extractor.has_openvino_stages and has_openvino())
    if not can_compile(extractor):
        with pytest.raises(NotImplementedError):
            extractor.openvino_stages(None, None)
        return
    openvino = import_openvino()
    pixels = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3), dtype=np.uint8)
    expected = all_maps(extractor, torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    image, maps = build_stages(extractor, 96, range(-len(expected), 0))
    graph = CompiledGraph(openvino.Model([openvino.opset13.result(each) for each in maps], [image]))
    for found, wanted in zip(graph([[pixels[0]]]), expected, strict=True):
        assert np.abs(found - wanted.numpy()).max() < 1e-4 * wanted.abs().max()


@pytest.fixture
def registered() -> Iterator[str]:
    CATALOGUE.register(TOY)
    yield TOY.name
    del CATALOGUE[TOY.name]


def test_a_toy_of_one_class_and_one_registration_is_trained_by_its_name(
    small_settings: Settings, product: Path, tmp_path: Path, registered: str
) -> None:
    settings = small_settings.with_overrides(
        {"extractor.name": registered, "extractor.scales": 1, "extractor.stages": [-2, -1], "training.epochs": 2}
    )
    model = DifferNet(settings, device="cpu").fit(product)
    model.save(tmp_path / "toy.safetensors")
    assert model.manifest is not None
    assert model.manifest.extractor_sha256 == find_weights(registered).fingerprint
    good, bad = (sorted((product / "test" / kind).glob("*.png")) for kind in ("good", "blot"))
    scores = DifferNet.load(tmp_path / "toy.safetensors", device="cpu").score([*good, *bad])
    assert np.array_equal(scores, model.score([*good, *bad]))
    assert np.isfinite(scores).all()


def test_entries_say_where_their_weights_are() -> None:
    for name, entry in CATALOGUE.items():
        assert entry.name == name
        assert isinstance(entry.source, WeightsSource)
        assert entry.source.remedy
