"""Finding the stages of a classifier whose code is not ours: the last maps of each size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from differnet.errors import SettingsError

__all__ = ["drop_unused", "find_stage_names"]

# Two sizes, to tell maps, whose side grows with the image's, from what is pooled to a fixed one.
_SIZES = (192, 256)
_FINEST_STRIDE = 4


def find_stage_names(network: nn.Module) -> list[str]:
    """Find the submodules that give the last maps of each size, from a stride of 4 on.

    Looked at are the network's children, and the children of those that are `torch.nn.Sequential`, and so on; blocks
    are not taken apart, since they begin at the size of the stage before.

    Args:
        network: A classifier in evaluation mode.

    Returns:
        Names from fine to coarse.

    Raises:
        SettingsError: If there are none, as in a network without convolutions, or it does not take images of any size.
    """
    smaller, larger = (_sides(network, size) for size in _SIZES)
    largest = _SIZES[1] // _FINEST_STRIDE
    # Of several submodules of a size the last one stays.
    last = {side: name for name, side in larger.items() if smaller.get(name, side) < side <= largest}
    if not last:
        raise SettingsError(f"{type(network).__name__} gives no maps; choose a convolutional network.")
    return [last[side] for side in sorted(last, reverse=True)]


def drop_unused(network: nn.Module, names: Sequence[str]) -> None:
    """Replace the children that come after the last of these submodules, such as the classifier, by nothing."""
    used: set[str] = set()
    read: set[str] = set()

    def begin(name: str, *_: object) -> None:
        if names[-1] not in read:
            used.add(name)

    def end(name: str, *_: object) -> None:
        read.add(name)

    # All that a child is made of, since a list of modules is never called itself.
    handles = [
        part.register_forward_pre_hook(partial(begin, name))
        for name, child in network.named_children()
        for part in child.modules()
    ]
    handles.append(network.get_submodule(names[-1]).register_forward_hook(partial(end, names[-1])))
    with torch.no_grad():
        network(torch.zeros(1, 3, _SIZES[0], _SIZES[0]))
    for handle in handles:
        handle.remove()
    for name, _ in list(network.named_children()):
        if name not in used:
            setattr(network, name, nn.Identity())


def _sides(network: nn.Module, size: int) -> dict[str, int]:
    """Sides of the square maps that submodules give, in the order in which they compute."""
    sides: dict[str, int] = {}

    def note(name: str, _module: nn.Module, _inputs: Any, result: Any) -> None:  # noqa: ANN401 - a hook's signature
        if isinstance(result, Tensor) and result.ndim == 4 and result.shape[2] == result.shape[3]:
            sides[name] = result.shape[2]

    handles = [module.register_forward_hook(partial(note, name)) for name, module in _candidates(network)]
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, size, size))
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SettingsError(
            f"{type(network).__name__} does not take images of {size} x {size} pixels ({reason}); choose another."
        ) from None
    finally:
        for handle in handles:
            handle.remove()
    return sides


def _candidates(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential):
            yield from _candidates(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child
