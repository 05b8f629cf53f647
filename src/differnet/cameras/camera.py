"""What a camera is: frames, one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl

from typing_extensions import Self

from differnet.errors import SettingsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Camera", "Frame", "split_options"]


@dataclass(frozen=True)
class Frame:
    """One picture of a camera.

    Attributes:
        pixels: (height, width, 3) RGB or (height, width) grey; uint8 or uint16.
        seconds: When it was there: by the clock `time.monotonic`, or of a recording, from its beginning.
        number: Of a recording, from 1; None of a camera.
    """

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    seconds: float
    number: int | None = None


class Camera(ABC):
    """Gives frames. Used as a context manager, by one thread at a time.

    What holds of every camera:

    - `read` gives each frame once, in order, and waits for it a few seconds at most.
    - After `close`, or after `CameraError` and `close`, it can be opened again.
    - Nothing that it says of itself, in `label` or in an error, holds a password.

    Args:
        source: As the user gave it.

    Attributes:
        name: By which the kind is registered.
        label: What rows and messages call it.
        recording: The file that it plays back, which waits; None of a camera, whose frames are gone if nobody takes
            them.
    """

    name: ClassVar[str]
    label: str
    recording: Path | None = None

    @abstractmethod
    def __init__(self, source: str) -> None:
        """Check the source, without opening it."""

    @classmethod
    @abstractmethod
    def takes(cls, source: str) -> bool:
        """Whether a source is of this kind."""

    @abstractmethod
    def open(self) -> None:
        """Begin.

        Raises:
            CameraError: If it is not there, or in use.
            SettingsError: If it has not what was set.
        """

    @abstractmethod
    def read(self) -> Frame | None:
        """Give the next frame, None after the last of a recording or if there was none in time.

        Raises:
            CameraError: If it has gone away.
        """

    @abstractmethod
    def close(self) -> None:
        """End; may be called twice, or without `open`."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: Any) -> None:  # noqa: ANN401
        self.close()


def split_options(source: str) -> tuple[str, Mapping[str, str]]:
    """Split ``WHAT?NAME=VALUE&NAME=VALUE``.

    Raises:
        SettingsError: If an option has no value.
    """
    what, _, options = source.partition("?")
    try:
        return what, dict(parse_qsl(options, keep_blank_values=True, strict_parsing=bool(options)))
    except ValueError:
        raise SettingsError(f"{what}: its options are not NAME=VALUE, with & between them; write them so.") from None
