"""Images are taken in any form that Python has for them, and mean the same in each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from differnet.errors import ImageError
from differnet.images import GivenImages, image_sources, load_image

RNG = np.random.default_rng(0)
PIXELS: NDArray[np.uint8] = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
GREY = PIXELS[:, :, 0]
DEEP = GREY.astype(np.uint16) * 257


def one(given: GivenImages) -> NDArray[np.uint8]:
    (source,) = image_sources(given)
    return load_image(source)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    Image.fromarray(PIXELS).save(tmp_path / "a b.png")
    return tmp_path / "a b.png"


def test_files_are_given_by_path_url_content_and_folder(file: Path) -> None:
    forms: list[GivenImages] = [file, str(file), file.as_uri(), file.read_bytes(), file.parent]
    for given in forms:
        assert np.array_equal(one(given), PIXELS)


def test_a_list_file_names_images(file: Path) -> None:
    (file.parent / "list.txt").write_text("a b.png\n")
    assert [*image_sources(file.parent / "list.txt")] == [file]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (PIXELS, PIXELS),
        (GREY, GREY),
        (torch.from_numpy(PIXELS).permute(2, 0, 1), PIXELS),
        (torch.from_numpy(PIXELS), PIXELS),
        (torch.from_numpy(PIXELS).permute(2, 0, 1) / 255.0, PIXELS),
        (torch.from_numpy(GREY), GREY),
        ((torch.from_numpy(PIXELS).permute(2, 0, 1) / 255.0).requires_grad_(), PIXELS),
        (Image.fromarray(PIXELS), PIXELS),
        (Image.fromarray(PIXELS).convert("RGBA"), PIXELS),
        (Image.fromarray(GREY), GREY),
        (Image.fromarray(GREY).convert("P"), GREY),
        (Image.fromarray(DEEP), GREY),
        (Image.fromarray(DEEP.astype(np.int32)), GREY),
    ],
    ids=[*"abcdefghijklm"],
)
def test_arrays_tensors_and_images_of_pillow_mean_the_same(given: GivenImages, expected: NDArray[np.uint8]) -> None:
    wanted = expected if expected.ndim == 3 else np.repeat(expected[:, :, None], 3, axis=2)
    assert np.array_equal(one(given), wanted)


def test_images_of_pillow_are_turned_as_their_camera_says() -> None:
    picture = Image.fromarray(PIXELS)
    picture.getexif()[0x0112] = 6
    assert one(picture).shape == (30, 20, 3)


def test_several_come_as_lists_generators_nested_and_as_one_array(file: Path) -> None:
    tensor = torch.from_numpy(PIXELS).permute(2, 0, 1)
    forms: list[GivenImages] = [
        [file, PIXELS],
        (image for image in (file, PIXELS)),
        [[file], (PIXELS,)],
        np.stack([PIXELS, PIXELS]),
        torch.stack([tensor, tensor]),
        [file.parent, tensor],
    ]
    for given in forms:
        assert [load_image(source).shape for source in image_sources(given)] == [PIXELS.shape] * 2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (3, "cannot be given as int"),
        ([None], "cannot be given as NoneType"),
        ("https://example.org/part.png", "not a file on this machine"),
        (Image.fromarray(np.full((20, 20), 70_000, np.int32)), "0 to 65535"),
    ],
)
def test_what_is_no_image_is_refused(given: GivenImages, told: str) -> None:
    with pytest.raises(ImageError, match=told):
        list(image_sources(given))
