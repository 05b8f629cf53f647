"""From files, folders and arrays to HWC uint8 RGB images."""

from differnet.images.collect import IMAGE_SUFFIXES, Collection, collect_images
from differnet.images.deep import Depth, PixelScale
from differnet.images.fingerprint import data_fingerprint, region_fingerprint
from differnet.images.given import GivenImage, GivenImages, image_sources, local_path
from differnet.images.hashed_file import HashedFile
from differnet.images.layouts import GOOD, LabelledImage, read_good_images, read_test_images
from differnet.images.likeness import TrainingImages
from differnet.images.looking import TrainingLook
from differnet.images.read import (
    DEFAULT_MAX_PIXELS,
    MIN_SIDE,
    DecodedImage,
    ImageSource,
    ScaleSource,
    as_rgb,
    decode_image,
    load_image,
    read_image,
)
from differnet.images.region_of_interest import RegionOfInterest, parse_box, read_region

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "GOOD",
    "IMAGE_SUFFIXES",
    "MIN_SIDE",
    "Collection",
    "DecodedImage",
    "Depth",
    "GivenImage",
    "GivenImages",
    "HashedFile",
    "ImageSource",
    "LabelledImage",
    "PixelScale",
    "RegionOfInterest",
    "ScaleSource",
    "TrainingImages",
    "TrainingLook",
    "as_rgb",
    "collect_images",
    "data_fingerprint",
    "decode_image",
    "image_sources",
    "load_image",
    "local_path",
    "parse_box",
    "read_good_images",
    "read_image",
    "read_region",
    "read_test_images",
    "region_fingerprint",
]
