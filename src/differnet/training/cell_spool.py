"""Cells of many images on disk, for what needs them again once the model of good cells is fitted."""

from __future__ import annotations

import contextlib
import tempfile
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

from differnet.errors import OutputError
from differnet.features.describer import Cells

__all__ = ["CellSpool"]


class CellSpool:
    """Keeps the cells of images in a temporary file, in half precision as the local model does: 0.2 MB an image.

    Use as a context manager; the file is gone after it.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="differnet-cells-")  # noqa: SIM115 - closed by __exit__
        self._kind: type[Cells] | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._count = 0

    def __enter__(self) -> CellSpool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What a full disk did not take is flushed once more here; `add` has told of it.
        with contextlib.suppress(OSError):
            self._file.close()

    def __len__(self) -> int:
        return self._count

    def add(self, cells: Cells) -> None:
        """Append the cells of an image; all images have as many.

        Raises:
            OutputError: If the temporary folder is full.
        """
        parts = {name: tensor.half().cpu().numpy() for name, tensor in cells.tensors().items()}
        self._kind, self._shapes = type(cells), {name: part.shape for name, part in parts.items()}
        try:
            for part in parts.values():
                self._file.write(part.tobytes())
            self._file.flush()
        except OSError as error:
            raise OutputError(
                f"The temporary folder {tempfile.gettempdir()} cannot be written ({error.strerror}); make room "
                "there, or point the environment variable TMPDIR at another folder."
            ) from None
        self._count += 1

    def __getitem__(self, place: int) -> Cells:
        """The cells of the image that was added as number `place`, counted from 0; float32, on the CPU.

        Raises:
            IndexError: If there are not so many.
        """
        if self._kind is None or not 0 <= place < self._count:
            raise IndexError(f"{place} of {self._count}")
        self._file.seek(place * 2 * sum(int(np.prod(shape)) for shape in self._shapes.values()))
        return self._kind(**{name: self._read(shape) for name, shape in self._shapes.items()})

    def _read(self, shape: tuple[int, ...]) -> Tensor:
        values = np.frombuffer(self._file.read(2 * int(np.prod(shape))), np.float16)
        return torch.from_numpy(values.reshape(shape).astype(np.float32))
