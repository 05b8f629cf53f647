"""Groups of images from what joins two of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

__all__ = ["join_groups"]


def join_groups(
    count: int, links: Iterable[tuple[int, int]] = (), labels: Sequence[Hashable] | None = None
) -> tuple[int, ...]:
    """Put images into groups: those that a link or a label joins, directly or by way of others.

    Args:
        count: Number of images.
        links: Pairs of places.
        labels: Of each image; None for none.

    Returns:
        The group of each image: the place of its first image.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415 - scoring must not need scipy
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    pairs = [*links]
    first: dict[Hashable, int] = {}
    for place, label in enumerate(labels or ()):
        pairs.append((first.setdefault(label, place), place))
    rows, columns = np.array(pairs, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(count, count))
    components = connected_components(graph, directed=False)[1]
    _, where = np.unique(components, return_index=True)
    return tuple(where[components].tolist())
