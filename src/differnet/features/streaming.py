"""A stream of images through the network: read ahead in threads, finished in groups, side by side on several cores."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from typing import TypeAlias

import torch

from differnet.compute.threads import count_workers, map_ahead, workers_with_own_cores
from differnet.features.sample import Sample
from differnet.images import ImageSource
from differnet.images.failure import Failure

__all__ = ["VIEWS_PER_GPU_GROUP", "VIEWS_PER_GROUP", "Finish", "Prepare", "stream_groups"]

# Views that are handed on together: the flow reads its weights, more than a cache holds, once for all of them.
VIEWS_PER_GROUP = 8
VIEWS_PER_GPU_GROUP = 256
_DECODE_THREADS = 2
_READ_AHEAD = 4
# Decoding goes on while a group is computed.
_READ_AHEAD_OF_GPU = 64
# Of originals in a group: a photograph of 12 megapixels has 36 MB.
_MOST_IMAGE_BYTES = 128_000_000

Prepare: TypeAlias = Callable[[int, ImageSource, bool], Sample | Failure]
"""Does what is done for an image alone: of its place, the image, and whether the network on a CPU is a part of it."""

Finish: TypeAlias = Callable[[list[Sample | Failure]], list[Sample | Failure]]
"""Does the rest for a group of images."""


def stream_groups(
    sources: Iterable[ImageSource],
    prepare: Prepare,
    finish: Finish,
    device: torch.device,
    *,
    side_by_side: bool = True,
    with_images: bool = False,
) -> Iterator[list[Sample | Failure]]:
    """Take images through both steps, in their order, a few at once; never none.

    Args:
        sources: Paths or arrays; consumed as needed, so it may be long.
        prepare: Called in threads.
        finish: Called in the calling thread.
        device: Where the network runs.
        side_by_side: Whether several images on a CPU each get a core of their own, so that until the end torch
            computes on a single one in the calling thread. Not for callers whose own part is a large one.
        with_images: Whether the originals are kept; fewer images are then under way at a time.
    """
    items = enumerate(sources)
    first = list(itertools.islice(items, 2))
    workers = count_workers()
    alone = side_by_side and device.type == "cpu" and len(first) > 1 and workers > 1
    pool: AbstractContextManager[Executor] = (
        workers_with_own_cores(workers)
        if alone
        else ThreadPoolExecutor(
            _DECODE_THREADS if device.type == "cpu" else max(_DECODE_THREADS, workers),
            thread_name_prefix="differnet-read",
        )
    )
    most = VIEWS_PER_GROUP if device.type == "cpu" else VIEWS_PER_GPU_GROUP
    ahead = _READ_AHEAD
    if not with_images and device.type != "cpu":
        ahead = _READ_AHEAD_OF_GPU
    elif not with_images and alone:
        ahead = workers + VIEWS_PER_GROUP
    group: list[Sample | Failure] = []

    def prepare_item(item: tuple[int, ImageSource]) -> Sample | Failure:
        return prepare(*item, alone)

    with pool as executor, closing(map_ahead(executor, prepare_item, itertools.chain(first, items), ahead)) as samples:
        for sample in samples:
            group.append(sample)
            if sum(map(_count_views, group)) >= most or sum(map(_image_bytes, group)) >= _MOST_IMAGE_BYTES:
                yield finish(group)
                group = []
        if group:
            yield finish(group)


def _count_views(sample: Sample | Failure) -> int:
    return 1 if isinstance(sample, Failure) else len(sample.views)


def _image_bytes(sample: Sample | Failure) -> int:
    return 0 if isinstance(sample, Failure) or sample.image is None else sample.image.nbytes
