"""How large the extractor sees images, no larger than they are, and in how many tiles long ones."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import numpy as np
from PIL import Image

from differnet.images import DecodedImage, ImageSource, RegionOfInterest
from differnet.settings import ViewSettings
from differnet.views import Tiling
from differnet.views.tiling import SMALLEST_SIDE, fitted, tiling_for

__all__ = ["choose_size"]

_LOOKED_AT = 32
_STEP = 32
# Squares of tiles that training chooses may be larger: of strips of twelve solar cells the image AUROC is 0.88 at 640
# pixels and 0.90 at 832.
_OF_TILES = 4 / 3


def choose_size(sources: Sequence[ImageSource], views: ViewSettings, region: RegionOfInterest | None) -> ViewSettings:
    """Choose how images are brought to squares: how many tiles long ones are cut into, and how large the squares are.

    An enlarged image says no more, and what the network learnt to see at its own scale is then seen at another: solar
    cells of 300 pixels have an image AUROC of 0.94 at 448 pixels and 0.97 at 256. A squeezed one says less: of strips
    of twelve cells, 0.70.

    Args:
        sources: Good images, of which up to 32 are looked at.
        views: The settings; with ``enlarge`` the size stays as it is, but for what tiles need.
        region: The region of interest that images are cropped to; None for whole images.

    Returns:
        The settings with a size that is a multiple of 32, at least 224 or what it was, and with tiles that are settled.
    """
    if views.enlarge and views.tiles == "none":
        return views
    if region is not None:
        sides = [(region.box[2], region.box[3])]
    else:
        looked_at = sources[:: max(len(sources) // _LOOKED_AT, 1)]
        sides = [side for source in looked_at if (side := _sides(source)) is not None]
    largest = views.size
    if sides and not views.enlarge:
        usual = float(np.median([np.sqrt(width * height) for width, height in sides]))
        largest = max(_STEP * int(usual // _STEP), SMALLEST_SIDE)
    size = min(views.size, largest)
    if views.tiles == "auto":
        aspects = [width / height for width, height in sides if width and height]
        tiling = tiling_for(aspects, size if views.enlarge else min(round(views.size * _OF_TILES), largest))
    else:
        tiling = Tiling.of(views.tiles, size)
    if tiling is None:
        chosen = {"size": size, "tiles": "none"}
    else:
        tiling = fitted(tiling)
        # Turned, the tiles of an image would lie otherwise than those of any other.
        kind = "none" if views.kind == "auto" else views.kind
        chosen = {"size": tiling.size, "tiles": tiling.name, "kind": kind}
    return views.model_copy(update={name: value for name, value in chosen.items() if getattr(views, name) != value})


def _sides(source: ImageSource) -> tuple[int, int] | None:
    """Width and height; None for what cannot be read, of which training tells."""
    if isinstance(source, DecodedImage):
        source = source.pixels
    if isinstance(source, np.ndarray):
        return (source.shape[1], source.shape[0]) if source.ndim >= 2 else None
    try:
        with warnings.catch_warnings():
            # The header alone is read; how large an image may be is told where it is decoded.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                return image.width, image.height
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
