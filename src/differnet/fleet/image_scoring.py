"""Scoring images of an archive by the models of their products: the same work here and in a Ray actor."""

from __future__ import annotations

import tempfile
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

from differnet.calibration import Calibration
from differnet.detector import DifferNet
from differnet.errors import DifferNetError
from differnet.extractors import Weights
from differnet.features.reference import Reference
from differnet.fleet.archive import ArchiveImage, is_remote, portions
from differnet.images import ImageSource
from differnet.images.failure import Failure
from differnet.inspection.drift import compare
from differnet.inspection.observations import Observations
from differnet.model_file.bundle import read_manifest
from differnet.sinks.rows import row_of

__all__ = ["ModelContent", "ModelShelf", "by_product", "drift_of", "score_images"]

ModelContent: TypeAlias = "Path | bytes"
"""A model file, or its content."""

_HELD = 8
_READERS = 8
_READ_AHEAD = 16


class ModelShelf:
    """Models by product, loaded when first needed; the ones used least recently make room.

    Args:
        fetch: Gives the model of a product, None if there is none.
        weights: Pretrained weights by the name of the extractor.
        device: Where the networks run.
        held: Most models held at a time.
    """

    def __init__(
        self,
        fetch: Callable[[str], ModelContent | None],
        weights: Mapping[str, Weights],
        device: str = "auto",
        held: int = _HELD,
    ) -> None:
        self._fetch = fetch
        self._weights = weights
        self._device = device
        self._held = held
        self._models: OrderedDict[str, DifferNet] = OrderedDict()
        self._known: dict[str, tuple[Reference | None, Calibration | None]] = {}
        self._seen: dict[str, Observations] = {}

    def get(self, product: str) -> DifferNet | None:
        """The model of a product, None if there is none.

        Raises:
            ModelFileError: If it is damaged.
        """
        if product in self._models:
            self._models.move_to_end(product)
            return self._models[product]
        content = self._fetch(product)
        if content is None:
            return None
        while len(self._models) >= self._held:
            self._take(*self._models.popitem(last=False))
        model = self._models[product] = self._load(content)
        self._known[product] = model.fitted.reference, model.calibration
        return model

    def take_observations(self) -> dict[str, Observations]:
        """What was seen of each product since the last call."""
        for product, model in self._models.items():
            self._take(product, model)
        seen, self._seen = self._seen, {}
        return seen

    def drift(self) -> dict[str, str]:
        """What images have unlike the training images, in words, for the products where that should be told."""
        return drift_of(self.take_observations(), lambda product: self._known[product])

    def _take(self, product: str, model: DifferNet) -> None:
        seen = model.take_observations()
        if seen.images:
            self._seen.setdefault(product, Observations()).merge(seen)

    def _load(self, content: ModelContent) -> DifferNet:
        if isinstance(content, Path):
            extractor = read_manifest(content).settings.extractor.name
            return DifferNet.load(content, device=self._device, weights=self._weights.get(extractor))
        with tempfile.TemporaryDirectory(prefix="differnet-") as folder:
            file = Path(folder) / "model.safetensors"
            file.write_bytes(content)
            return self._load(file)


def drift_of(
    seen: Mapping[str, Observations], known: Callable[[str], tuple[Reference | None, Calibration | None]]
) -> dict[str, str]:
    """What images have unlike the training images, in words, for the products where that should be told.

    Args:
        seen: What was inspected of each product.
        known: Gives what a product's training images looked like, and its threshold.
    """
    sentences = {product: compare(seen[product], *known(product)).sentence for product in sorted(seen)}
    return {product: sentence for product, sentence in sentences.items() if sentence}


def by_product(images: Iterable[ArchiveImage], size: int) -> Iterator[ArchiveImage]:
    """Put every ``size`` images into the order of their products, so that models change less often."""
    for portion in portions(iter(images), max(1, size)):
        yield from sorted(portion, key=lambda image: image.product or "")


def score_images(
    shelf: ModelShelf, images: Iterable[ArchiveImage], product: str | None = None, *, all_views: bool = False
) -> Iterator[dict[str, Any]]:
    """Score images, in order.

    Args:
        shelf: The models.
        images: What to score; consumed as needed.
        product: The product of all images, where they do not tell their own.
        all_views: Score by all views, see `differnet.detector.DifferNet.inspect_stream`.

    Yields:
        A row per image: the fields of its verdict or why there is none, and its product.
    """
    for name, group in groupby(images, key=lambda image: product or image.product or ""):
        try:
            model = shelf.get(name)
        except DifferNetError as error:
            yield from (_failed(image, name, str(error)) for image in group)
            continue
        if model is None:
            yield from (_failed(image, name, f"There is no model of '{name}'; train it.") for image in group)
            continue
        yield from _score_by(model, name, group, all_views)


def _score_by(
    model: DifferNet, product: str, images: Iterable[ArchiveImage], all_views: bool
) -> Iterator[dict[str, Any]]:
    model_id = model.manifest.model_id if model.manifest is not None else ""
    taken: deque[ArchiveImage] = deque()
    unread: deque[tuple[int, dict[str, Any]]] = deque()
    given = 0

    def sources() -> Iterator[ImageSource]:
        nonlocal given
        for image, content in _read_ahead(images):
            if isinstance(content, Failure):
                unread.append((given, _failed(image, product, content.reason, model_id)))
            else:
                taken.append(image)
                yield content
            given += 1

    done = 0
    for result in model.inspect_stream(sources(), all_views=all_views):
        while unread and unread[0][0] == done:
            yield unread.popleft()[1]
            done += 1
        image = taken.popleft()
        done += 1
        if isinstance(result, Failure):
            yield _failed(image, product, result.reason, model_id)
        else:
            yield row_of(result, path=image.path, product=product)
    yield from (row for _, row in unread)


def _failed(image: ArchiveImage, product: str, reason: str, model_id: str = "") -> dict[str, Any]:
    return row_of(Failure(image.path, reason), product=product, model_id=model_id or None)


def _read_ahead(images: Iterable[ArchiveImage]) -> Iterator[tuple[ArchiveImage, ImageSource | Failure]]:
    """Fetch remote images in threads, a few ahead of what was taken; local ones are read where they are decoded."""
    waiting: deque[tuple[ArchiveImage, Any]] = deque()
    with ThreadPoolExecutor(_READERS, thread_name_prefix="differnet-fetch") as pool:
        for image in images:
            remote = image.content is None and is_remote(image.location)
            waiting.append((image, pool.submit(_fetch, image.location) if remote else None))
            if len(waiting) > (_READ_AHEAD if remote else 0):
                yield _taken(*waiting.popleft())
        while waiting:
            yield _taken(*waiting.popleft())


def _taken(image: ArchiveImage, fetched: Any) -> tuple[ArchiveImage, ImageSource | Failure]:  # noqa: ANN401 - a future
    if fetched is not None:
        return image, fetched.result()
    return image, image.location if image.content is None else bytes(image.content)


def _fetch(location: str) -> bytes | Failure:
    import fsspec  # noqa: PLC0415

    try:
        with fsspec.open(location, "rb") as stream:
            return bytes(stream.read())
    except Exception as error:  # every file system has its own
        return Failure(location, f"{location}: cannot be read ({type(error).__name__}: {error}); check the file.")
