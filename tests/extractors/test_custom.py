"""A user's own network: what is read of it, what is refused, and a detector's whole life with it."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from differnet import DifferNet, Settings
from differnet.errors import SettingsError, WeightsError
from differnet.extractors import CustomExtractor

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)


def convolution(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, stride=2, padding=1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
    )


class Pyramid(nn.Module):
    """Halves the side five times, and gives the maps of strides 4, 8, 16 and 32; or, as a classifier, classes."""

    def __init__(self, *, seed: int = 0, classes: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.stem = nn.Sequential(convolution(3, 8), convolution(8, 8))
            self.blocks = nn.ModuleList([convolution(8, 12), convolution(12, 16), convolution(16, 20)])
            self.head = nn.Linear(20 * 4, 5)  # takes images of 64 pixels only
        self.classes = classes

    def forward(self, x: Tensor) -> list[Tensor] | Tensor:
        maps = [self.stem(x)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return self.head(maps[-1].flatten(1)) if self.classes else maps


STAGES = ["stem", "blocks.0", "blocks.1", "blocks.2"]


def by_names(seed: int = 0, stages: list[str] = STAGES, name: str = "ours") -> CustomExtractor:
    return CustomExtractor(Pyramid(seed=seed, classes=True), stages, name=name, mean=MEAN, std=STD)


def by_list(seed: int = 0) -> CustomExtractor:
    return CustomExtractor(Pyramid(seed=seed), name="ours", mean=MEAN, std=STD)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))


def test_submodules_that_are_named_give_what_the_network_would_return(images: Tensor) -> None:
    named, returned = by_names(), by_list()
    assert named.stage_channels == returned.stage_channels == (8, 12, 16)
    assert named.channels == returned.channels == 20
    normalised = (images - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    expected = Pyramid().eval()(normalised)
    for extractor in (named, returned):
        for count in range(1, 5):
            maps = extractor.forward_stages(images, count - 5)
            assert len(maps) == count
            for found, wanted in zip(maps, expected, strict=False):
                torch.testing.assert_close(found, wanted)


def test_what_computes_in_place_behind_a_stage_does_not_change_its_maps(images: Tensor) -> None:
    normalisations = by_names(stages=["stem.0.1", "stem.1.1", "stem.1"])
    first = normalisations.forward_stages(images, -3)[0]
    assert first.min() < 0
    assert torch.equal(normalisations.forward_stages(images, -1)[0], first)


def test_a_network_with_a_single_map_has_it_as_its_only_stage_too(images: Tensor) -> None:
    for extractor in (by_names(stages=["blocks.1"]), CustomExtractor(Pyramid().stem, name="ours")):
        assert extractor.stage_channels == (extractor.channels,)
        only, last = extractor.forward_stages(images, -1)
        assert torch.equal(only, last)
        assert len(extractor.forward_stages(images)) == 1


def test_a_mapping_of_maps_is_taken_in_its_order(images: Tensor) -> None:
    class Named(Pyramid):
        def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:  # type: ignore[override]
            return OrderedDict(zip("abcd", super().forward(x), strict=True))

    found = CustomExtractor(Named(), name="ours", mean=MEAN, std=STD).forward_stages(images)
    assert all(torch.equal(*pair) for pair in zip(found, by_list().forward_stages(images), strict=True))


def test_threads_do_not_read_each_others_maps() -> None:
    extractor = by_names()
    batches = [torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) for seed in range(64)]
    expected = [extractor.forward_stages(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(extractor.forward_stages, batches), expected, strict=True):
            assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


def test_the_network_that_was_given_stays_as_it_was_and_its_later_training_changes_nothing(images: Tensor) -> None:
    network = Pyramid()
    extractor = CustomExtractor(network, STAGES, name="ours")
    before, sha256 = extractor(images), CustomExtractor(network, STAGES, name="ours").sha256
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    with torch.no_grad():
        network.stem[0][0].weight += 1  # type: ignore[index]
    assert torch.equal(extractor(images), before)
    assert extractor.sha256 == sha256
    assert CustomExtractor(network, STAGES, name="ours").sha256 != sha256


def test_copies_compute_on_their_own(images: Tensor) -> None:
    extractor = by_names()
    expected = extractor.forward_stages(images)
    twin, sent = copy.deepcopy(extractor), pickle.loads(pickle.dumps(extractor))
    assert twin.sha256 == sent.sha256 == extractor.sha256
    with torch.no_grad():
        for parameter in extractor.parameters():
            parameter.zero_()
    for of_copy in (twin, sent):
        assert all(torch.equal(*pair) for pair in zip(of_copy.forward_stages(images), expected, strict=True))


def test_the_fingerprint_is_of_name_weights_stages_and_normalisation() -> None:
    network = Pyramid()
    others = [
        CustomExtractor(network, name="ours"),
        CustomExtractor(network, name="other"),
        CustomExtractor(Pyramid(seed=1), name="ours"),
        CustomExtractor(network, STAGES, name="ours"),
        CustomExtractor(network, STAGES[1:], name="ours"),
        CustomExtractor(network, name="ours", mean=MEAN),
        CustomExtractor(network, name="ours", std=STD),
    ]
    assert len({extractor.sha256 for extractor in others}) == len(others)
    assert CustomExtractor(Pyramid(), name="ours").sha256 == others[0].sha256


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no such luck")


@pytest.mark.parametrize(
    ("network", "stages", "name", "said"),
    [
        (Pyramid(), ["stems"], "ours", "no submodule 'stems'.*such as stem, blocks, head"),
        (Pyramid(), [], "ours", "name at least one"),
        (Pyramid(), ["head", "stem"], "ours", "'head' is not called"),
        (Pyramid(), ["blocks.0", "stem"], "ours", "'blocks.0' is not called, or after"),
        (Pyramid(classes=True), ["stem", "head"], "ours", r"shapes.*\(1, 5\).*must give maps"),
        (Pyramid(classes=True), None, "ours", "must give maps"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Upsample(scale_factor=2)), ["0", "1"], "ours", "from fine to coarse"),
        (Broken(), None, "ours", "fails on an image of 64 x 64 pixels .no such luck.; give min_size"),
        (Pyramid(), None, "../ours", "is no name"),
    ],
)
def test_what_cannot_be_an_extractor_is_refused_with_a_sentence(
    network: nn.Module, stages: list[str] | None, name: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        CustomExtractor(network, stages, name=name)


@pytest.fixture(scope="module")
def settings(small_settings: Settings) -> Settings:
    return small_settings.with_overrides(
        {
            "extractor.scales": 1,
            "extractor.stages": [-2, -1],
            "extractor.deviation": True,
            "flow.whiten": True,
            "scoring.local": True,
            "views.count": 1,
            "training.epochs": 2,
        }
    )


@pytest.fixture(scope="module")
def trained(settings: Settings, product: Path) -> DifferNet:
    return DifferNet(settings, extractor=by_names(), device="cpu").fit(product)


@pytest.fixture(scope="module")
def saved(trained: DifferNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("own") / "model.safetensors"
    trained.save(file)
    return file


def test_a_model_of_it_is_trained_saved_and_scores_and_explains_as_before(
    trained: DifferNet, saved: Path, product: Path
) -> None:
    paths = sorted((product / "test").rglob("*.png"))
    assert trained.manifest is not None
    assert trained.manifest.settings.extractor.name == "ours"
    assert trained.manifest.extractor_sha256 == by_names().sha256
    loaded = DifferNet.load(saved, extractor=by_names(), device="cpu")
    scores = trained.score(paths)
    assert np.array_equal(scores, loaded.score(paths))
    assert np.isfinite(scores).all()
    assert len(set(scores.tolist())) == len(paths)
    for method in ("neighbours", "gradient"):
        heat = loaded.explain(paths[0], method)
        assert np.array_equal(heat, trained.explain(paths[0], method))
        assert heat.max() > heat.min()


def test_a_model_refuses_to_be_loaded_with_another_extractor_or_with_none(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"needs your own extractor 'ours'.*DifferNet.load\(path, extractor="):
        DifferNet.load(saved)
    with pytest.raises(WeightsError, match="trained with the extractor 'ours', not with 'other'"):
        DifferNet.load(saved, extractor=by_names(name="other"))
    for wrong in (by_names(seed=1), by_list()):
        with pytest.raises(WeightsError, match=f"another extractor 'ours'.*{wrong.sha256[:12]}"):
            DifferNet.load(saved, extractor=wrong)


def test_a_model_of_the_catalogue_refuses_ones_own(model_file: Path) -> None:
    with pytest.raises(WeightsError, match="trained with the extractor 'alexnet', not with 'ours'"):
        DifferNet.load(model_file, extractor=by_names())


def test_a_name_of_the_catalogue_is_taken() -> None:
    with pytest.raises(SettingsError, match="'vgg16' already"):
        DifferNet(extractor=by_names(name="vgg16"))


def test_stages_that_it_has_not_are_named(settings: Settings) -> None:
    model = DifferNet(
        settings.with_overrides({"extractor.stages": [-5]}), extractor=by_names(stages=STAGES[:2]), device="cpu"
    )
    with pytest.raises(SettingsError, match="extractor ours has 2 stages, and -5 is asked for; choose from -2 to -1"):
        _ = model.extraction


def test_bfloat16_rounds_its_maps_too(images: Tensor) -> None:
    from differnet.extractors.rounding import round_as_bfloat16

    for exact, rounded in ((by_names(), by_names()), (by_list(), by_list())):
        round_as_bfloat16(rounded)
        for found, plain in zip(rounded.forward_stages(images, -1), exact.forward_stages(images, -1), strict=True):
            assert torch.equal(found, found.bfloat16().float())
            assert not torch.equal(found, plain)
            torch.testing.assert_close(found, plain, rtol=0.05, atol=0.05)
