"""Finding, checking and caching the extractors' pretrained weights, also where there is no internet.

Order of search: a path given by the caller or in ``DIFFERNET_WEIGHTS``, the user's cache, torch's hub cache, an
installed package that carries the weights, a download. There are never random weights as a fallback.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import os
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from differnet.errors import WeightsError
from differnet.extractors.base import Extractor
from differnet.extractors.checkpoints import fingerprint, read_checkpoint
from differnet.files import replacing
from differnet.installing import install_command

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "Weights",
    "WeightsSource",
    "cache_file",
    "load_weights",
    "locate",
    "write_cache",
]

ENVIRONMENT_VARIABLE = "DIFFERNET_WEIGHTS"
_DOWNLOAD_TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class WeightsSource:
    """Where the public weights of one extractor can be had.

    Attributes:
        requirement: What to give to pip, or None when no package carries the weights.
        module: Import name of that package; it is never imported, only its files are read.
        package_file: The file inside the package.
        package_sha256: SHA-256 of that file.
        hub_file: Name of torchvision's file; the part after the dash is the start of its SHA-256. None if unknown.
    """

    requirement: str | None = None
    module: str = ""
    package_file: str = ""
    package_sha256: str = ""
    hub_file: str | None = None

    @property
    def remedy(self) -> str:
        """What makes the weights available, as one sentence with the command."""
        if self.requirement:
            return f"Run: {install_command(self.requirement, '--no-deps')}"
        if not self.url:
            return f"Set {ENVIRONMENT_VARIABLE} to a file with them."
        return f"Download {self.url} elsewhere and set {ENVIRONMENT_VARIABLE} to the file."

    @property
    def asked(self) -> str:
        """What is asked for by the network, for messages."""
        return str(self.url)

    @property
    def url(self) -> str | None:
        """Address of torchvision's file."""
        return f"https://download.pytorch.org/models/{self.hub_file}" if self.hub_file else None

    @property
    def hub_sha256_prefix(self) -> str:
        """The start of the SHA-256 of torchvision's file, which its name carries."""
        return Path(str(self.hub_file)).stem.rsplit("-", 1)[-1]

    def fetch(self, name: str, network: Callable[[], Extractor]) -> Weights | None:
        """Get the weights by the network, the last resort, and keep them in the cache; None where there is no address.

        Raises:
            OSError: If it cannot be reached, or the answer is broken off.
            http.client.HTTPException: Likewise.
            WeightsError: If it gives something else.
        """
        return _download(name, self, network) if self.url else None


@dataclass(frozen=True)
class Weights:
    """Pretrained weights that were found and checked.

    Attributes:
        state: Float32 tensors by parameter name.
        origin: The file that they came from; of a download, where it is cached.
        fingerprint: See `differnet.extractors.checkpoints.fingerprint`.
    """

    state: dict[str, Tensor]
    origin: Path
    fingerprint: str


def cache_file(name: str) -> Path:
    """Where the user's cache keeps the weights of an extractor, as safetensors."""
    return Path(platformdirs.user_cache_dir("differnet")) / "weights" / f"{name}.safetensors"


def load_weights(
    name: str,
    network: Callable[[], Extractor],
    source: WeightsSource,
    *,
    path: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> Weights:
    """Find the pretrained weights of an extractor and check them.

    Weights that come from a package or a download are kept in the user's cache as safetensors.

    Args:
        name: The extractor's.
        network: Makes the extractor, which tells the names and shapes that are needed.
        source: Where its weights can be had.
        path: A weights file, or a folder that holds ``<name>.safetensors``, ``.pth``, ``.pt`` or ``.ckpt``. Nothing
            else is tried then.
        download: Whether the network may be asked as a last resort.

    Raises:
        WeightsError: If nothing is found, or what is found is damaged; the message says what was tried and the
            command that mends it.
    """
    if path:
        return _read(_explicit_file(name, Path(path)), network)
    tried: list[str] = []
    for place, file in locate(name, source):
        if file is None or not file.is_file():
            tried.append(f"{place}: {'not installed' if file is None else f'no file {file}'}")
            continue
        if place == "torch hub cache":
            _check_sha256(file, source.hub_sha256_prefix)
        if place == "package":
            _check_sha256(file, source.package_sha256)
        weights = _read(file, network)
        if place == "user cache":
            _check_cache(weights)
        if place == "package":
            write_cache(name, weights)
        return weights
    if download:
        try:
            fetched = source.fetch(name, network)
        except (OSError, http.client.HTTPException, WeightsError) as error:
            tried.append(f"download of {source.asked}: {error or type(error).__name__}")
        else:
            if fetched is not None:
                return fetched
    raise WeightsError(f"The pretrained weights of {name} were not found ({'; '.join(tried)}). {source.remedy}")


def locate(name: str, source: WeightsSource) -> Iterator[tuple[str, Path | None]]:
    """Yield (place, file) in the order of search; the file may not exist, None means the package is absent.

    Raises:
        WeightsError: If ``DIFFERNET_WEIGHTS`` is set and leads to nothing.
    """
    if explicit := os.environ.get(ENVIRONMENT_VARIABLE):
        yield ENVIRONMENT_VARIABLE, _explicit_file(name, Path(explicit))
        return
    yield "user cache", cache_file(name)
    if source.hub_file:
        yield "torch hub cache", Path(torch.hub.get_dir()) / "checkpoints" / source.hub_file
    if source.requirement:
        spec = importlib.util.find_spec(source.module)
        folder = next(iter(spec.submodule_search_locations or ()), None) if spec else None
        yield "package", Path(folder) / source.package_file if folder else None


def _explicit_file(name: str, path: Path) -> Path:
    if path.is_file():
        return path
    for suffix in (".safetensors", ".pth", ".pt", ".ckpt"):
        if (file := path / f"{name}{suffix}").is_file():
            return file
    raise WeightsError(
        f"{path}: is neither a weights file nor a folder with {name}.safetensors, .pth, .pt or .ckpt; correct the "
        f"path or unset {ENVIRONMENT_VARIABLE}."
    )


def _read(file: Path, network: Callable[[], Extractor]) -> Weights:
    state = read_checkpoint(file, network)
    return Weights(state, file, fingerprint(state))


def _check_cache(weights: Weights) -> None:
    with safetensors.safe_open(weights.origin, "pt") as file:
        written = (file.metadata() or {}).get("fingerprint")
    if weights.fingerprint != written:
        raise WeightsError(f"{weights.origin}: the cached weights are damaged; delete the file and try again.")


def _check_sha256(file: Path, expected: str) -> None:
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if not found.startswith(expected):
        raise WeightsError(f"{file}: its SHA-256 is {found}, not the published {expected}; delete or reinstall it.")


def write_cache(name: str, weights: Weights) -> bool:
    """Keep the weights as safetensors; a cache that cannot be written costs time only, so it is no error.

    Returns:
        Whether they are in the cache now.
    """
    target = cache_file(name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as part:
            safetensors.torch.save_file(weights.state, part, {"fingerprint": weights.fingerprint})
    except OSError:
        return False
    return True


def _download(name: str, source: WeightsSource, network: Callable[[], Extractor]) -> Weights:
    """Fetch torchvision's file, check it, and keep its tensors in the cache."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / str(source.hub_file)
        with urllib.request.urlopen(str(source.url), timeout=_DOWNLOAD_TIMEOUT_SECONDS) as response:  # noqa: S310 - https only
            file.write_bytes(response.read())
        _check_sha256(file, source.hub_sha256_prefix)
        weights = _read(file, network)
    write_cache(name, weights)
    return Weights(weights.state, cache_file(name), weights.fingerprint)
