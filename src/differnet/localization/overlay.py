"""A picture of an image beside the same image with its heat map laid over it."""

from __future__ import annotations

import math
import os
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from differnet.errors import ImageError, OutputError
from differnet.localization.regions import Region, check_heat

__all__ = ["DISPLAY_TOP", "blend_heat", "draw_overlay", "heat_layer", "save_overlay"]

DISPLAY_TOP = 2.0
"""Heat at the top of the colour scale; anything hotter is shown as this."""

# Long side of a picture, in pixels: smaller images are enlarged to at least the first, larger ones reduced to the last.
_SMALLEST, _LARGEST = 480, 1000
# Width over height from which pictures stand below one another.
_LONG = 3
_MARGIN = 16
_BAR_WIDTH, _BAR_HEIGHT, _LABEL_WIDTH = 22, 160, 152
# Narrow pictures leave room for a caption all the same.
_CANVAS_WIDTH = 480
_FONT_SIZE = 18
_CAPTION_HEIGHT = 2 * _FONT_SIZE
# Not white, so that the edges of photographs with a white ground show.
_PAPER, _INK = (236, 236, 236), (32, 32, 32)
_BAR_GREY = 128
_LEVELS = 256
_LAYER_PIXELS = 4_000_000
# Inferno grows in lightness throughout, so that it reads the same in every kind of colour vision and in grey.
# Its pale last tenth is left out: hot places must not look white.
_COLOURS = cv2.applyColorMap(np.linspace(0, 235, _LEVELS).astype(np.uint8)[:, None], cv2.COLORMAP_INFERNO)
_COLOURS = np.ascontiguousarray(_COLOURS[:, :, ::-1])


def _opacities() -> NDArray[np.float32]:
    # Nothing below a quarter, where good parts lie nearly everywhere; then rising smoothly to 0.7 at 1.5.
    heat = np.linspace(0.0, DISPLAY_TOP, _LEVELS)
    rise = np.clip((heat - 0.25) / 1.25, 0.0, 1.0)
    return (0.7 * rise * rise * (3.0 - 2.0 * rise)).astype(np.float32)[:, None]


_OPACITIES = _opacities()


def blend_heat(image: NDArray[np.uint8], heat: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Lay a heat map over an image: the hotter, the lighter the colour and the less of the image shows through.

    Args:
        image: uint8 (height, width, 3), RGB.
        heat: float32 (height, width), >= 0; 1 is the hottest that good images get. Shown on a fixed scale from 0 to
            `DISPLAY_TOP`; below a quarter nothing is laid over.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        ImageError: If the image or the heat map is not one, or their sizes differ.
    """
    _check(image, heat)
    return _blend(image, _to_levels(heat))


def heat_layer(heat: NDArray[np.floating]) -> NDArray[np.uint8]:
    """A heat map as a layer of its own: laid over the image, it shows what `blend_heat` does.

    Args:
        heat: float32 (height, width), >= 0; see `blend_heat`.

    Returns:
        uint8 (height, width, 4), RGBA, clear where nothing is laid over.

    Raises:
        ImageError: If the heat map is not one.
    """
    check_heat(heat)
    layer = np.empty((*heat.shape, 4), np.uint8)
    rows = max(1, _LAYER_PIXELS // heat.shape[1])
    for top in range(0, heat.shape[0], rows):  # what is between takes many times the memory
        levels = _to_levels(heat[top : top + rows])
        opacity = cv2.LUT(levels, np.rint(255 * _OPACITIES).astype(np.uint8))
        strip = layer[top : top + rows]
        strip[:, :, :3] = cv2.applyColorMap(levels, _COLOURS)
        strip[:, :, 3] = opacity
        strip[opacity == 0] = 0  # clear pixels all alike make a small file
    return layer


def draw_overlay(
    image: NDArray[np.uint8], heat: NDArray[np.floating], regions: Sequence[Region], *, caption: str = ""
) -> NDArray[np.uint8]:
    """Draw an image, beside it the image with its heat and its regions' boxes, and the scale of the colours.

    Of a strip, three times as wide as high or more, they stand below one another.

    The image is shown with its aspect ratio kept. A long side below 480 pixels is enlarged by the smallest whole factor
    that brings it to 480 or more, one above 1000 is reduced to 1000.

    Args:
        image: uint8 (height, width, 3), RGB.
        heat: float32 (height, width), >= 0; 1 is the hottest that good images get (see `blend_heat`).
        regions: Regions to outline, in pixels of the image.
        caption: Line above the pictures, best in ASCII, which is all that the font has; cut off where it is too long,
            and left out where it is empty.

    Returns:
        uint8 (rows, columns, 3), RGB.

    Raises:
        ImageError: If the image or the heat map is not one, or their sizes differ.
    """
    _check(image, heat)
    height, width = image.shape[:2]
    scale = _display_scale(width, height)
    shown_width, shown_height = (max(1, round(side * scale)) for side in (width, height))
    plain = _resize(image, shown_width, shown_height)
    heated = _blend(plain, _resize(_to_levels(heat), shown_width, shown_height))
    _outline(heated, regions, shown_width / width, shown_height / height)

    pictures = [plain, heated]
    if shown_width >= _LONG * shown_height:
        pictures = [np.concatenate([plain, np.full((_MARGIN, shown_width, 3), _PAPER, np.uint8), heated])]
    bar = _draw_bar(max(_BAR_HEIGHT, pictures[0].shape[0]))
    caption_height = _CAPTION_HEIGHT if caption else 0
    columns = max(_CANVAS_WIDTH, _MARGIN + sum(part.shape[1] + _MARGIN for part in [*pictures, bar]))
    canvas = np.full((caption_height + 2 * _MARGIN + bar.shape[0], columns, 3), _PAPER, np.uint8)
    if caption:
        canvas[_MARGIN : _MARGIN + caption_height] = _draw_caption(caption, columns)
    top = caption_height + _MARGIN
    left = _MARGIN
    for part in [*pictures, bar]:
        # A picture that is lower than the colour bar stands at half its height.
        y = top + (bar.shape[0] - part.shape[0]) // 2
        canvas[y : y + part.shape[0], left : left + part.shape[1]] = part
        left += part.shape[1] + _MARGIN
    return canvas


def save_overlay(
    path: str | os.PathLike[str],
    image: NDArray[np.uint8],
    heat: NDArray[np.floating],
    regions: Sequence[Region],
    *,
    caption: str = "",
) -> None:
    """Write what `draw_overlay` draws as a PNG, whatever the file's name ends with.

    Args:
        path: The PNG to write; its folder must exist.
        image: uint8 (height, width, 3), RGB.
        heat: float32 (height, width), >= 0.
        regions: Regions to outline, in pixels of the image.
        caption: Line above the pictures.

    Raises:
        ImageError: If the image or the heat map is not one, or their sizes differ.
        OutputError: If the file cannot be written.
    """
    picture = Image.fromarray(draw_overlay(image, heat, regions, caption=caption))
    try:
        # Photographs hardly get smaller at higher levels, only slower.
        picture.save(Path(path), format="PNG", compress_level=1)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); choose a folder that exists, is writable and has space."
        ) from None


def _check(image: NDArray[np.uint8], heat: NDArray[np.floating]) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0 or image.dtype != np.uint8:
        raise ImageError(
            f"An overlay needs a uint8 RGB image of shape (height, width, 3), not {image.dtype} {image.shape}; "
            f"read it with load_image."
        )
    check_heat(heat)
    if heat.shape != image.shape[:2]:
        raise ImageError(
            f"The heat map has {heat.shape[1]} x {heat.shape[0]} pixels, the image {image.shape[1]} x "
            f"{image.shape[0]}; give the heat map of this very image."
        )


def _display_scale(width: int, height: int) -> float:
    long_side = max(width, height)
    return min(_LARGEST / long_side, max(1, math.ceil(_SMALLEST / long_side)))


def _resize(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    if image.shape[:2] == (height, width):
        return image
    reduced = width < image.shape[1]
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if reduced else cv2.INTER_LINEAR)
    return resized.astype(np.uint8, copy=False)


def _to_levels(heat: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Heat from 0 to `DISPLAY_TOP` as 0..255."""
    clipped = np.minimum(heat, DISPLAY_TOP).astype(np.float32, copy=False)
    return cv2.convertScaleAbs(clipped, alpha=(_LEVELS - 1) / DISPLAY_TOP).astype(np.uint8, copy=False)


def _blend(image: NDArray[np.uint8], levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    colours = cv2.applyColorMap(levels, _COLOURS)
    opacity = cv2.LUT(levels, _OPACITIES)
    blended = cv2.blendLinear(np.ascontiguousarray(image), colours, 1.0 - opacity, opacity)
    return blended.astype(np.uint8, copy=False)


def _outline(picture: NDArray[np.uint8], regions: Sequence[Region], scale_x: float, scale_y: float) -> None:
    """Draw boxes just outside the regions, white with a dark rim, which shows on every ground."""
    height, width = picture.shape[:2]
    boxes = []
    for region in regions:
        left, top = math.floor(region.x * scale_x) - 3, math.floor(region.y * scale_y) - 3
        right = math.ceil((region.x + region.width) * scale_x) + 2
        bottom = math.ceil((region.y + region.height) * scale_y) + 2
        # A box that reaches the edge of the picture is drawn along it.
        boxes.append(((max(left, 1), max(top, 1)), (min(right, width - 2), min(bottom, height - 2))))
    for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 2)):
        for first, last in boxes:
            cv2.rectangle(picture, first, last, colour, thickness)


def _draw_bar(height: int) -> NDArray[np.uint8]:
    """The scale of colours, as they look over mid-grey, with its labels: (height, bar and labels, 3)."""
    heat = np.linspace(DISPLAY_TOP, 0.0, height)[:, None].repeat(_BAR_WIDTH, axis=1)
    colours = _blend(np.full((height, _BAR_WIDTH, 3), _BAR_GREY, np.uint8), _to_levels(heat))
    strip = Image.new("RGB", (_BAR_WIDTH + _LABEL_WIDTH, height), _PAPER)
    strip.paste(Image.fromarray(colours))
    draw = ImageDraw.Draw(strip)
    draw.rectangle((0, 0, _BAR_WIDTH - 1, height - 1), outline=_INK)
    font = ImageFont.load_default(_FONT_SIZE)
    top = DISPLAY_TOP
    for value, label, anchor in ((top, f"{top:g} or more", "la"), (1.0, "1 = hottest good", "lm"), (0.0, "0", "ls")):
        y = round((height - 1) * (1.0 - value / top))
        draw.line((_BAR_WIDTH - 6, y, _BAR_WIDTH + 4, y), fill=_INK)
        draw.text((_BAR_WIDTH + 9, y), label, fill=_INK, font=font, anchor=anchor)
    return np.asarray(strip)


def _draw_caption(caption: str, width: int) -> NDArray[np.uint8]:
    """A line of text: (`_CAPTION_HEIGHT`, width, 3)."""
    font = ImageFont.load_default(_FONT_SIZE)
    # Pillow's font has no letters beyond ASCII: accents are dropped, other letters become question marks.
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", caption) if not unicodedata.combining(letter))
    text = " ".join(plain.encode("ascii", "replace").decode("ascii").split())
    room = width - 2 * _MARGIN
    # No letter is narrower than a pixel.
    if len(text) > room or font.getlength(text) > room:
        cut = bisect_right(range(room), room, key=lambda length: math.ceil(font.getlength(text[:length] + "...")))
        text = text[: cut - 1] + "..."
    strip = Image.new("RGB", (width, _CAPTION_HEIGHT), _PAPER)
    ImageDraw.Draw(strip).text((_MARGIN, 0), text, fill=_INK, font=font)
    return np.asarray(strip)
