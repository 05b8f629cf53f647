"""What an exported model computes in: what it was trained in, so that its threshold holds."""

from __future__ import annotations

import copy
from typing import Any, Literal, TypeAlias, cast

import torch
from torch import Tensor, nn

from differnet.detector import DifferNet
from differnet.errors import SettingsError
from differnet.extractors import Extractor

__all__ = ["Precision", "as_trained", "in_precision", "round_as_bfloat16"]

Precision: TypeAlias = Literal["float32", "bfloat16"]

# What rounds its results when a network computes in bfloat16; activations and poolings give what is rounded already.
_ROUNDING = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
# x * (2 ** 16 + 1) has x in its upper digits; see `_rounded`.
_SPLIT = 65537.0


def as_trained(model: DifferNet, precision: str = "auto") -> Precision:
    """Turn ``auto`` into what the model's extractor computed in when it was trained and calibrated.

    Raises:
        SettingsError: If there is no such precision.
    """
    if precision == "auto":
        precision = "float32" if model.manifest is None else model.manifest.training.precision
    if precision not in ("float32", "bfloat16"):
        raise SettingsError(f"There is no precision '{precision}' to export in; choose auto, float32 or bfloat16.")
    return cast("Precision", precision)


def in_precision(model: DifferNet, precision: Precision) -> DifferNet:
    """A copy of a model whose extractor computes in a precision, on the CPU, whatever settings and processor say."""
    twin = copy.copy(model)
    twin.settings = model.settings.with_overrides({"extractor.precision": precision})
    twin.device = torch.device("cpu")
    twin._extraction = None
    twin._localizer = None
    twin._flow = copy.deepcopy(model.flow).to(twin.device)
    return twin


def round_as_bfloat16(extractor: Extractor) -> None:
    """Make a float32 extractor round all that one in bfloat16 rounds: weights, pixels, results of layers and blocks.

    Features in bfloat16 lie a little beside those in float32, all to the same side, and a flow that learnt the former
    finds the latter strange: on MVTec AD bottle the scores of good parts are a standard deviation higher. With the
    rounding they are the same but for noise. Runtimes on CPUs have no bfloat16 of their own, or only on some.
    """
    for layers in extractor.children():
        for tensor in (*layers.parameters(), *layers.buffers()):
            if tensor.is_floating_point():
                tensor.data = tensor.data.bfloat16().float()
    for module in extractor.modules():
        is_block = not isinstance(module, nn.Sequential) and next(module.children(), None) is not None
        if module is not extractor and (is_block or isinstance(module, _ROUNDING)):
            module.register_forward_hook(_rounded_result)
    normalise = extractor._normalise
    extractor._normalise = lambda images: _rounded(normalise(images))  # type: ignore[method-assign]


def _rounded_result(_module: nn.Module, _inputs: Any, result: Tensor) -> Tensor:  # noqa: ANN401 - a hook's signature
    return _rounded(result)


def _rounded(values: Tensor) -> Tensor:
    """Keep the upper 8 of 24 binary digits (Veltkamp's splitting, 1968): faster than casts, and no runtime drops it."""
    split = values * _SPLIT
    return split - (split - values)
