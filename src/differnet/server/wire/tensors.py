"""Requests and answers of the open inference protocol, version 2, as KServe and Triton speak it."""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from differnet.server.problems import Problem

__all__ = ["MODEL_INPUTS", "MODEL_OUTPUTS", "REQUEST_BODY", "answer", "images_of"]

MODEL_INPUTS = [{"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}]
MODEL_OUTPUTS = [
    {"name": "score", "datatype": "FP64", "shape": [-1]},
    {"name": "threshold", "datatype": "FP64", "shape": [-1]},
    {"name": "p_value", "datatype": "FP64", "shape": [-1]},
    {"name": "decision", "datatype": "INT64", "shape": [-1]},
    {"name": "id", "datatype": "BYTES", "shape": [-1]},
]
_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"enum": ["UINT8", "BYTES"]},
        "data": {"type": "array"},
        "parameters": {"type": "object", "properties": {"binary_data_size": {"type": "integer", "minimum": 0}}},
    },
}
_REQUEST = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "inputs": {"type": "array", "minItems": 1, "maxItems": 1, "items": _TENSOR},
        "outputs": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
    },
}
REQUEST_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": _REQUEST},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}
"""What the description of the route says of its body."""

# Numbers in text take many times the memory of an image: larger ones come as binary data.
_MOST_TEXT = 8 << 20
_LENGTH_BYTES = 4
_CHANNELS = (1, 3, 4)
_DECISIONS = {"accept": 0, "review": 1, "reject": 2}


def images_of(body: bytes, header_length: str | None, most: int) -> tuple[dict[str, Any], list[bytes]]:
    """The images of a request, as contents of image files.

    Args:
        body: JSON, and after it the binary data that it tells of.
        header_length: Header ``Inference-Header-Content-Length``: where the JSON ends; None for JSON alone.
        most: Images in a request.

    Returns:
        The request, and a file for each image: as it came for datatype ``BYTES``, a PNG for ``UINT8``.

    Raises:
        Problem: 400 or 413 if the request cannot be used.
    """
    end = len(body) if header_length is None else int(header_length) if header_length.isdecimal() else -1
    if not 0 <= end <= len(body):
        raise Problem(400, "Inference-Header-Content-Length is not the length of the JSON before the binary data.")
    if end > _MOST_TEXT:
        raise Problem(413, f"The JSON has more than {_MOST_TEXT >> 20} MiB; send tensors as binary data.")
    try:
        request = json.loads(body[:end])
        (tensor,) = request["inputs"]
        kind, shape = tensor["datatype"], [operator.index(side) for side in tensor["shape"]]
        str(request.get("id", "")).encode()  # what it is called goes into the answer
        size = tensor.get("parameters", {}).get("binary_data_size")
        data = body[end : end + int(size)] if size is not None else tensor["data"]
        if not all(isinstance(each, dict) for each in request.get("outputs") or ()):
            raise TypeError
        if kind == "BYTES":
            return request, _files(data, most)
        if kind == "UINT8":
            return request, [_png(image) for image in _arrays(data, shape, most)]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise Problem(
            400, "The request is not one of the inference protocol with one input: name, shape, datatype, data."
        ) from None
    raise Problem(400, f"The datatype {str(kind)[:20]} is not taken; send UINT8 (RGB pixels) or BYTES (image files).")


def _files(data: bytes | Sequence[str], most: int) -> list[bytes]:
    if not isinstance(data, bytes):
        _check_number(len(data), most)
        try:
            return [base64.b64decode(each, validate=True) for each in data]
        except binascii.Error:
            raise Problem(400, "Image files within JSON must be in base64; or send them as binary data.") from None
    files, place = [], 0
    while place < len(data):
        length = int.from_bytes(data[place : place + _LENGTH_BYTES], "little")
        place += _LENGTH_BYTES
        files.append(data[place : place + length])
        place += length
        _check_number(len(files), most)
    return files


def _check_number(images: int, most: int) -> None:
    if images > most:
        raise Problem(413, f"The request has more than {most} images; send fewer.")


def _arrays(data: bytes | Sequence[Any], shape: list[int], most: int) -> NDArray[np.uint8]:
    if len(shape) == 3:
        shape = [1, *shape]
    if len(shape) != 4 or min(shape) < 1 or shape[3] not in _CHANNELS:
        raise Problem(400, "The shape must be (height, width, channels) or (images, height, width, channels).")
    _check_number(shape[0], most)
    if isinstance(data, bytes):
        values = np.frombuffer(data, np.uint8)
    else:
        given = np.array(data)
        if given.size and given.dtype.kind == "f":  # scaled to 1, say, which would be all but black
            raise Problem(400, "Values of UINT8 must be whole numbers, in 0 to 255.")
        if given.size and given.dtype.kind not in "iu":
            raise TypeError
        wide = given.astype(np.int64).reshape(-1)
        if wide.size and (wide.min() < 0 or wide.max() > np.iinfo(np.uint8).max):
            raise Problem(400, "Values of UINT8 must lie in 0 to 255.")
        values = wide.astype(np.uint8)
    if values.size != math.prod(shape):
        raise Problem(400, f"The data has {values.size} values, the shape {math.prod(shape)}.")
    return values.reshape(shape)


def _png(image: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image[:, :, :3]).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def answer(request: dict[str, Any], name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The answer to a request.

    Args:
        request: What `images_of` gave.
        name: Of the model.
        rows: Inspections, as JSON; without a threshold, numbers are NaN's stand-in 0 and the decision is -1.
    """
    columns = {
        "score": [row["score"] for row in rows],
        "threshold": [row["threshold"] or 0.0 for row in rows],
        "p_value": [row["p_value"] or 0.0 for row in rows],
        "decision": [_DECISIONS.get(row["decision"] or "", -1) for row in rows],
        "id": [row["id"] for row in rows],
    }
    asked = [each.get("name") for each in request.get("outputs") or () if isinstance(each, dict)]
    outputs = [
        {**output, "shape": [len(rows)], "data": columns[str(output["name"])]}
        for output in MODEL_OUTPUTS
        if not asked or output["name"] in asked
    ]
    told = {"id": str(request["id"])[:100]} if request.get("id") else {}
    return {"model_name": name, "model_version": rows[0]["model_id"] if rows else "", **told, "outputs": outputs}
