"""What an export target is: a format that a model's graph can be written in, and what runs such a file."""

from __future__ import annotations

import importlib.util
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from differnet.errors import MissingExtraError, ModelFileError
from differnet.installing import install_command, install_extra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from differnet.export.graph import InspectionGraph

__all__ = [
    "EXPORT_VERSION",
    "FORMAT",
    "Engine",
    "ExportTarget",
    "Outputs",
    "changed_file",
    "damaged_file",
    "missing_runtime",
    "parse_metadata",
    "without_digest",
]

_log = logging.getLogger(__name__)

Outputs: TypeAlias = "Mapping[str, NDArray[Any]]"
"""What a graph gives for an image, by name."""

FORMAT = "differnet-export"
"""By which a file is known to be one."""

EXPORT_VERSION = 1
"""Of the outputs and the metadata; readers refuse a newer one."""


class Engine(Protocol):
    """An exported file, ready to run.

    Attributes:
        name: Of the runtime.
        about: What the file says of its outputs, see `differnet.export.write`.
        manifest: The manifest of the model that was exported.
    """

    name: str
    about: dict[str, Any]
    manifest: dict[str, Any]

    def __call__(self, image: NDArray[np.uint8]) -> Outputs:
        """Run the graph on a uint8 (height, width, 3) image; the outputs by name."""
        ...


class ExportTarget(ABC):
    """A format to export to.

    Identities:

    - `open` of a file that `write` made gives an engine whose ``about`` and ``manifest`` are those of the metadata;
    - the engine's outputs are those that ``about`` names, and on any image they are the graph's own within the
      tolerance of `differnet.export.parity`;
    - a file is written whole or not at all, and `write` returns all that belong together, the named one last;
    - a digest of all is in the files, and a file that is not as it was written is refused;
    - neither imports its packages before it is called, so that the command line can name targets at no cost.

    Attributes:
        name: Of the format, as ``--to`` takes it.
        suffix: Of its files, with the dot.
        packages: What writing needs to be installed, as imported.
        extra: The extra of this package that brings them.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = "export"

    def check_packages(self) -> None:
        """Make sure that what writing needs is installed.

        Raises:
            MissingExtraError: If it is not.
        """
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if missing:
            raise MissingExtraError(
                f"Exporting to {self.name} needs {' and '.join(missing)}; install with: {install_extra(self.extra)}"
            )

    @abstractmethod
    def write(self, graph: InspectionGraph, file: Path, metadata: Mapping[str, str]) -> tuple[Path, ...]:
        """Write a graph with what it says of itself.

        Args:
            graph: In evaluation mode.
            file: The file to write, named by `suffix`.
            metadata: Texts by name, which `open` finds again.

        Returns:
            The files.

        Raises:
            SettingsError: If the format cannot hold the graph.
            OutputError: If a file cannot be written.
        """

    @abstractmethod
    def open(self, file: Path, threads: int | None) -> Engine:
        """Open a file that `write` made, on the CPU.

        Args:
            file: The file, which exists.
            threads: How many threads the runtime takes; None lets it choose.

        Raises:
            ModelFileError: If it is damaged, foreign, or newer than this version.
            MissingExtraError: If the runtime is not installed.
        """


def parse_metadata(file: Path, metadata: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what a file says of itself: of its outputs, and the manifest of its model.

    Raises:
        ModelFileError: If it is foreign, damaged, or newer than this version.
    """
    if metadata.get("format") != FORMAT:
        raise ModelFileError(f"{file}: was not exported by differnet; give a file that 'differnet export' made.")
    try:
        about, manifest = json.loads(metadata["export"]), json.loads(metadata["manifest"])
        version = int(about["export_version"])
        if not isinstance(about, dict) or not isinstance(manifest, dict):
            raise ValueError("is no table")
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError):
        raise ModelFileError(f"{file}: what it says of itself is damaged; export the model again.") from None
    if version > EXPORT_VERSION:
        raise ModelFileError(
            f"{file}: has export version {version}, this differnet reads {EXPORT_VERSION}; upgrade differnet."
        )
    return about, manifest


def changed_file(file: Path) -> ModelFileError:
    """The error of a file whose content is not that of its digest."""
    return ModelFileError(f"{file}: is damaged, or was changed after it was exported; export the model again.")


def without_digest(file: Path, about: Mapping[str, Any]) -> None:
    """Log that a file has no digest, which older ones have not.

    Raises:
        ModelFileError: If what it says of itself tells that it had one.
    """
    if about.get("has_digest"):
        raise changed_file(file)
    _log.warning(
        "%s: was exported without a digest, so damage to it would not be seen; export the model again to add one.", file
    )


def missing_runtime(package: str, extra: str = "export") -> MissingExtraError:
    """The error that names the runtime to install."""
    return MissingExtraError(
        f"Running this file needs {package}; install with: {install_command(package)}, or {install_extra(extra)}"
    )


def damaged_file(file: Path, error: Exception) -> ModelFileError:
    """The error that says why a file cannot be opened."""
    reason = str(error).strip().splitlines()[-1][:200] if str(error).strip() else type(error).__name__
    return ModelFileError(f"{file}: cannot be opened ({reason}); export the model again.")
