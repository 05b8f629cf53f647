"""Reading state dicts of the authors' implementation (github.com/marco-rudolph/differnet)."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from differnet.errors import ModelFileError

__all__ = ["OfficialShape", "read_official_flow"]


# Block k is module 2k + 2 of the official graph: the input node comes first, a permutation before each block. Its
# subnets have batch normalisation layers (bn) that are never used.
_KEY = re.compile(r"^(?:nf\.)?module_list\.(\d+)\.s([12])\.(fc1|fc2|fc2b|fc3)\.(weight|bias)$")
_LAYERS = {"fc1": 0, "fc2": 2, "fc2b": 4, "fc3": 6}


@dataclass(frozen=True)
class OfficialShape:
    """What the state dict tells of the flow.

    Attributes:
        features: Number of features, d.
        blocks: Number of coupling blocks.
        hidden: Width of the subnets' hidden layers.
    """

    features: int
    blocks: int
    hidden: int


def read_official_flow(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], OfficialShape]:
    """Read the flow's weights from a state dict in the official layout.

    Permutations have no entry there; they follow from the number of features.

    Args:
        path: A file of ``torch.save(model.state_dict(), ...)``, read with ``weights_only``, or safetensors. Keys
            may start with ``nf.``; those of the feature extractor are ignored.

    Returns:
        The weights by the names of `differnet.flow.NormalizingFlow`, and the flow's shape.

    Raises:
        ModelFileError: If the file cannot be read or is something else.
    """
    file = Path(path)
    official = _read_state(file)
    state: dict[str, Tensor] = {}
    for key, tensor in official.items():
        match = _KEY.match(str(key))
        if match is None:
            continue
        module, subnet, layer, kind = match.groups()
        block, odd = divmod(int(module) - 2, 2)
        if odd or block < 0 or not isinstance(tensor, Tensor):
            raise ModelFileError(
                f"{file}: the entry '{key}' does not fit the official layout; save the state dict again."
            )
        state[f"blocks.{block}.subnet{subnet}.{_LAYERS[layer]}.{kind}"] = tensor.detach().float()
    return state, _infer_shape(file, state)


def _read_state(file: Path) -> Mapping[str, Any]:
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelFileError(f"{file}: no such file; check the path.") from None
    except pickle.UnpicklingError:
        raise ModelFileError(
            f"{file}: holds more than weights and is not loaded, since that could execute code; save it again with "
            f"torch.save(model.state_dict(), path)."
        ) from None
    except Exception:  # an unpickler has many words for a file that is none
        raise ModelFileError(f"{file}: is damaged or not a state dict; save it again with torch.save.") from None
    if not isinstance(state, Mapping):
        raise ModelFileError(f"{file}: does not hold a state dict; save torch.save(model.state_dict(), path).")
    return state


def _infer_shape(file: Path, state: Mapping[str, Tensor]) -> OfficialShape:
    numbers = {int(name.split(".")[1]) for name in state}
    blocks = len(numbers)
    first, last = (state.get(f"blocks.0.subnet{subnet}.0.weight") for subnet in (1, 2))
    complete = numbers == set(range(blocks)) and len(state) == blocks * 2 * len(_LAYERS) * 2
    if first is None or last is None or not complete:
        raise ModelFileError(
            f"{file}: has no complete flow in the official layout (keys 'nf.module_list...'); give the file that "
            f"torch.save(model.state_dict(), path) wrote."
        )
    shape = OfficialShape(first.shape[1] + last.shape[1], blocks, first.shape[0])
    halves = {"1": shape.features // 2, "2": shape.features - shape.features // 2}
    for name, tensor in state.items():
        _, _, subnet, layer, kind = name.split(".")
        inputs = halves[subnet[-1]] if layer == "0" else shape.hidden
        outputs = 2 * (shape.features - halves[subnet[-1]]) if layer == "6" else shape.hidden
        if tuple(tensor.shape) != ((outputs, inputs) if kind == "weight" else (outputs,)):
            raise ModelFileError(f"{file}: '{name}' has the unexpected shape {tuple(tensor.shape)}; save it again.")
    return shape
