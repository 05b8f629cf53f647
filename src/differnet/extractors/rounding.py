"""bfloat16 where the hardware has none: a network in float32 that rounds all that one in bfloat16 rounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from differnet.extractors.base import Extractor

__all__ = ["round_as_bfloat16"]

# What rounds its results when a network computes in bfloat16; activations and poolings give what is rounded already.
_ROUNDING = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
# x * (2 ** 16 + 1) has x in its upper digits; see `_rounded`.
_SPLIT = 65537.0


def round_as_bfloat16(extractor: Extractor) -> None:
    """Make a float32 extractor round all that one in bfloat16 rounds: weights, pixels, results of layers and blocks.

    Features in bfloat16 lie a little beside those in float32, all to the same side, and a flow that learnt the former
    finds the latter strange: on MVTec AD bottle the scores of good parts are a standard deviation higher. With the
    rounding they are the same but for noise, at the speed of float32.
    """
    for layers in extractor.children():
        for tensor in (*layers.parameters(), *layers.buffers()):
            if tensor.is_floating_point():
                tensor.data = tensor.data.bfloat16().float()
    for module in extractor.modules():
        is_block = not isinstance(module, nn.Sequential) and next(module.children(), None) is not None
        if module is not extractor and (is_block or isinstance(module, _ROUNDING)):
            module.register_forward_hook(_rounded_result, prepend=True)  # before hooks that read the result
    normalise = extractor._normalise
    extractor._normalise = lambda images: _rounded(normalise(images))  # type: ignore[method-assign]


def _rounded_result(_module: nn.Module, _inputs: Any, result: Any) -> Any:  # noqa: ANN401 - a hook's signature
    if isinstance(result, Mapping):
        return {name: _rounded_result(_module, _inputs, each) for name, each in result.items()}
    if isinstance(result, (list, tuple)):
        return [_rounded_result(_module, _inputs, each) for each in result]
    return _rounded(result) if isinstance(result, Tensor) and result.is_floating_point() else result


def _rounded(values: Tensor) -> Tensor:
    """Keep the upper 8 of 24 binary digits (Veltkamp's splitting, 1968): faster than casts, and no runtime drops it."""
    split = values * _SPLIT
    return split - (split - values)
