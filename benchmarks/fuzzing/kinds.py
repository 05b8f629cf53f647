"""The kinds of files that are read: what is mutated of each, and what reads it."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.fuzzing.mutations import damaged, mutated_json, with_png_checksums
from differnet import DifferNet
from differnet.errors import DifferNetError
from differnet.settings import preset
from differnet_runtime import InspectionError

__all__ = ["KINDS", "Kind", "small_model"]

_HONEST_SIDE, _HONEST_VIEWS = 512, 64
_SMALL = {
    "views.size": 64,
    "views.flow_size": 64,
    "views.enlarge": True,
    "views.kind": "none",
    "training.epochs": 1,
    "localization.dimensions": 16,
    "localization.turn_cells": "never",
    "calibration.method": "held-out",
    "calibration.false_reject_rate": 0.2,
    "flow.hidden": 8,
}
_LOCAL = {"localization.components": 16}
_EARLIER_LOCAL = {"localization.method": "neighbours", "localization.cells": 60, "scoring.join": "soft-maximum"}


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        suffix: Of its files.
        mutate: Makes a damaged one.
        read: Reads it; may raise errors of the product, and nothing else.
        takes_long: Whether short rounds leave it out, for the time that making it takes.
    """

    suffix: str
    mutate: Callable[[random.Random], bytes]
    read: Callable[[Path], object]
    takes_long: bool = False


@cache
def _images() -> Mapping[str, bytes]:
    rng = np.random.default_rng(0)
    base = Image.fromarray(rng.integers(0, 255, (20, 24, 3), dtype=np.uint8)).resize((96, 80), Image.Resampling.BICUBIC)
    found: dict[str, bytes] = {}

    def add(name: str, image: Image.Image, kind: str, **options: Any) -> None:  # noqa: ANN401 - of Pillow
        buffer = io.BytesIO()
        try:
            image.save(buffer, kind, **options)
        except (OSError, ValueError, KeyError):  # this Pillow lacks the codec
            return
        found[name] = buffer.getvalue()

    for mode in ("RGB", "L", "P", "RGBA", "LA", "1"):
        add(f"png-{mode}", base.convert(mode), "PNG")
    deep = rng.integers(0, 65535, (80, 96), dtype=np.uint16)
    add("png-16", Image.fromarray(deep), "PNG")
    add("apng", base, "PNG", save_all=True, append_images=[base.rotate(90)])
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, options in (("jpeg", {}), ("jpeg-progressive", {"progressive": True}), ("jpeg-exif", {"exif": exif})):
        add(name, base, "JPEG", **options)
    add("jpeg-cmyk", base.convert("CMYK"), "JPEG")
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "webp", "lzma"):
        add(f"tiff-{compression}", base, "TIFF", compression=compression)
    add("tiff-group4", base.convert("1"), "TIFF", compression="group4")
    add("tiff-16", Image.fromarray(deep), "TIFF")
    add("tiff-float", Image.fromarray(rng.random((80, 96), dtype=np.float32)), "TIFF")
    add("tiff-pages", base, "TIFF", save_all=True, append_images=[base])
    add("tiff-big", base, "TIFF", big_tiff=True)
    for name, options in (("webp", {}), ("webp-lossless", {"lossless": True})):
        add(name, base, "WEBP", **options)
    for mode in ("RGB", "P", "1", "RGBA"):
        add(f"bmp-{mode}", base.convert(mode), "BMP")
    return found


def _mutate_image(chance: random.Random) -> bytes:
    found = damaged(chance.choice([*_images().values()]), chance)
    return with_png_checksums(found) if chance.random() < 0.8 else found


def _read_image(path: Path) -> None:
    import differnet_runtime.images  # noqa: PLC0415
    from differnet.images import load_image  # noqa: PLC0415

    _by_each(
        *(partial(read, path, max_pixels=50_000_000) for read in (load_image, differnet_runtime.images.load_image))
    )


def _by_each(*reads: Callable[[], object]) -> None:
    """Try all; what the first of them that refuses says is raised after the last."""
    refusals = []
    for read in reads:
        try:
            read()
        except (DifferNetError, InspectionError) as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]


@cache
def _fitted(*, usual: bool = False) -> DifferNet:
    """A model that learns in a second; or in some, with all that the default learns of cells and windows."""
    rng = np.random.default_rng(0)
    images = [rng.integers(60, 200, (8, 8, 3), dtype=np.uint8).repeat(12, 0).repeat(12, 1) for _ in range(24)]
    small = {**_SMALL, **(_LOCAL if usual else _EARLIER_LOCAL)}
    return DifferNet(preset("default").with_overrides(small), device="cpu").fit(images)


@cache
def small_model(*, usual: bool = False) -> bytes:
    """The file of a model."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.safetensors"
        _fitted(usual=usual).save(file)
        return file.read_bytes()


@cache
def _model_parts(*, usual: bool) -> tuple[str, dict[str, torch.Tensor]]:
    model = _fitted(usual=usual).fitted
    return model.manifest.model_dump_json(), {name: tensor.clone() for name, tensor in model.tensors().items()}


def _mutate_model(chance: random.Random, *, usual: bool = False) -> bytes:
    """Damaged bytes, or a file whose digests are right and whose manifest or tensors are not."""
    kind = chance.random()
    if kind < 0.3:
        return damaged(small_model(usual=usual), chance)
    text, tensors = _model_parts(usual=usual)
    tensors = dict(tensors)
    if kind < 0.6:
        text = json.dumps(mutated_json(json.loads(text), chance))
    elif kind < 0.7:
        text = damaged(text.encode(), chance).decode("utf-8", "replace")
    elif kind < 0.75:
        depth = chance.choice((100, 10_000, 100_000))
        text = chance.choice(("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth, "9" * depth))
    else:
        name = chance.choice([*tensors])
        tensors[name] = _mutate_tensor(tensors[name], chance)
    return _sealed(text, tensors)


def _mutate_tensor(tensor: torch.Tensor, chance: random.Random) -> torch.Tensor:
    kind = chance.random()
    if kind < 0.2:
        return tensor.reshape(-1)[: chance.randrange(tensor.numel() + 1)].clone()
    if kind < 0.3:
        return tensor.to(chance.choice((torch.float64, torch.float16, torch.int64, torch.uint8)))
    changed = tensor.clone().reshape(-1)
    value = chance.choice(
        (0, -1, 607, 10**9, 2**62) if not tensor.is_floating_point() else (0, -1, 1e30, np.nan, np.inf)
    )
    if changed.numel():
        at = slice(None) if chance.random() < 0.3 else chance.randrange(changed.numel())
        changed[at] = min(value, 255) if tensor.dtype == torch.uint8 else value
    return changed.reshape(tensor.shape)


def _sealed(manifest: str, tensors: Mapping[str, torch.Tensor]) -> bytes:
    """A model file of a manifest that no `Manifest` need be."""
    import hashlib  # noqa: PLC0415

    import safetensors.torch  # noqa: PLC0415

    from differnet.compute.tensor_digest import digest_tensors  # noqa: PLC0415

    text = manifest.encode("utf-8", "replace").decode()
    kept = {name: tensor.contiguous() for name, tensor in tensors.items()}
    digests = {"manifest_sha256": hashlib.sha256(text.encode()).hexdigest(), "tensors_sha256": digest_tensors(kept)}
    return safetensors.torch.save(kept, {"format": "differnet", "manifest": text, **digests})


def _read_model(path: Path) -> None:
    from differnet.model_file.bundle import read_manifest  # noqa: PLC0415

    views = read_manifest(path).settings.views
    model = DifferNet.load(path, device="cpu", engine="torch")
    # A model that wants to see 4096 pixels may: it takes the time and memory that this takes, and is no damage.
    if views.size <= _HONEST_SIDE and views.count <= _HONEST_VIEWS:
        model.inspect(np.zeros((64, 64, 3), np.uint8))


@cache
def _exported(*, usual: bool) -> bytes:
    from differnet.export.write import export_model  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        export_model(_fitted(usual=usual), file)
        return file.read_bytes()


def _mutate_exported(chance: random.Random, *, usual: bool = False) -> bytes:
    import onnx  # noqa: PLC0415

    from differnet.export.seal import sealed  # noqa: PLC0415

    if chance.random() < 0.4:
        found = damaged(_exported(usual=usual), chance)
        return sealed(found) if chance.random() < 0.7 else found
    model = onnx.load_model_from_string(_exported(usual=usual))
    entry = chance.choice([each for each in model.metadata_props if each.key in ("export", "manifest")])
    if chance.random() < 0.2:
        depth = chance.choice((100, 10_000))
        entry.value = chance.choice(("[" * depth + "]" * depth, "9" * depth, "NaN", "[]", "null", '"x"'))
    else:
        entry.value = json.dumps(mutated_json(json.loads(entry.value), chance))
    return sealed(model.SerializeToString())


def _read_exported(path: Path) -> None:
    from differnet_runtime import Inspector  # noqa: PLC0415

    Inspector(path, threads=1).inspect(np.zeros((64, 64, 3), np.uint8))


_YAML = (
    *('!!python/object/apply:os.system ["true"]', "!!python/name:os.system", "&a [*a,*a]", "*a", ".nan", ".inf", "-1"),
    *("1e999", "9" * 5000, "0x" + "f" * 100, "2026-01-01", "{}", "[]", '"\\ud800"', '"\\0"', "~", "!!binary aGk="),
    *(
        "!!set {a}",
        "? a",
        "|\n x",
        '"' + "x" * 100_000 + '"',
        "[" * 2000 + "]" * 2000,
        "{a: " * 1500 + "1" + "}" * 1500,
    ),
    *(
        "1:2:3",
        '!!int "x"',
        '!!float "a"',
        "!!timestamp x",
        "!!omap [a]",
        "<<: {a: 1}",
        "!!null x",
        "!!merge x",
        "!x y",
    ),
    *('!!bool "x"', "!!pairs x", "x" * 300),
)
_RECIPE_KEYS = (
    "images",
    "region",
    "preset",
    "seed",
    "views",
    "views.size",
    "flow",
    "training",
    "calibration",
    "<<",
    "1",
)


def _mutate_recipe(chance: random.Random) -> bytes:
    from differnet.settings.recipe import recipe_template  # noqa: PLC0415

    text = recipe_template("images")
    if chance.random() < 0.4:
        return damaged(text.encode(), chance)
    if chance.random() < 0.1:
        laugh = [f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]" for i in range(8)]
        return "\n".join(["a: &a [x,x,x,x,x,x,x,x,x]", *laugh, text]).encode()
    lines = text.splitlines()
    for _ in range(chance.choice((1, 1, 2, 3))):
        value = chance.choice(_YAML)
        if chance.random() < 0.5:
            lines.append(f"{chance.choice(_RECIPE_KEYS)}: {value}")
        else:
            place = chance.randrange(len(lines))
            lines[place] = lines[place].partition(":")[0].replace("# ", "") + ": " + value
    return "\n".join(lines).encode("utf-8", "replace")


def _read_recipe(path: Path) -> None:
    from differnet.settings.recipe import read_recipe  # noqa: PLC0415

    read_recipe(path)


def _mutate_list(chance: random.Random) -> bytes:
    return chance.choice(
        (
            chance.randbytes(300),
            b"\0" * 1000,
            b"a" * 100_000,
            b"/dev/zero\n/dev/random\n..\n.\n",
            "\ufeff# c\n\u202e.png\n\u2028a".encode(),
            damaged(b"a.png\nb.png\nc/d.png\n# x\n", chance),
        )
    )


def _read_list(path: Path) -> None:
    from differnet.images import collect_images, load_image  # noqa: PLC0415

    for image in collect_images([path]).paths[:20]:
        try:
            load_image(image)
        except DifferNetError:
            continue


@cache
def _parquet() -> bytes:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    pictures = [_images()["png-RGB"], _images()["jpeg"], b"", None, b"junk"] * 4
    columns = {
        "path": [f"p{i}.png" for i in range(20)],
        "bytes": pa.array(pictures, pa.binary()),
        "product": ["cells"] * 20,
    }
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, row_group_size=5)
    return buffer.getvalue()


def _mutate_parquet(chance: random.Random) -> bytes:
    if chance.random() < 0.5:
        return damaged(_parquet(), chance)
    found = bytearray(_parquet())
    for _ in range(chance.choice((1, 1, 2, 3))):  # the footer, which says where everything is
        found[-1 - chance.randrange(min(1500, len(found)))] ^= 1 << chance.randrange(8)
    return bytes(found)


def _read_parquet(path: Path) -> None:
    from differnet.fleet.archive import open_archive  # noqa: PLC0415

    for _ in open_archive(str(path), with_products=True).images():
        pass


@cache
def _journal() -> bytes:
    from differnet.watching.journal import Journal  # noqa: PLC0415
    from differnet.watching.photograph import Photograph, Stamp  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.journal"
        with Journal(file) as journal:
            for i in range(30):
                photograph = Photograph(f"a{i}.png", Stamp(1, i, i, i), "0" * 64, b"x")
                journal.record(photograph, f"k{i}", "t", lines={}, bodies={"webhook": b"{}"}, totals={"accept": 1})
        return file.read_bytes()


def _read_journal(path: Path) -> None:
    from differnet.watching.journal import Journal  # noqa: PLC0415
    from differnet.watching.photograph import Photograph, Stamp  # noqa: PLC0415

    try:
        with Journal(path) as journal:
            journal.latest("a1.png")
            journal.next_delivery("webhook", 0.0)
            journal.undelivered()
            photograph = Photograph("new.png", Stamp(1, 2, 3, 4), "1" * 64, b"x")
            journal.record(photograph, "k", "t", lines={}, bodies={"webhook": b"{}"}, totals={"accept": 1})
            journal.totals()
    finally:
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)


@cache
def _weights() -> Mapping[str, bytes]:
    import safetensors.torch  # noqa: PLC0415

    from differnet.extractors.alexnet import AlexNet  # noqa: PLC0415

    state = {name: tensor.clone() for name, tensor in _tiny_state(AlexNet).items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    flax = pickle.dumps({"AlexNet_0": {"Conv_0": {"kernel": np.zeros((2, 2, 3, 4), np.float32)}}})
    return {".safetensors": safetensors.torch.save(state), ".pth": buffer.getvalue(), ".ckpt": flax}


def _tiny_state(network: Callable[[], Any]) -> dict[str, torch.Tensor]:
    return {name: tensor[:1] for name, tensor in network().backbone.state_dict().items()}


def _mutate_weights(chance: random.Random) -> bytes:
    suffix = chance.choice([*_weights()])
    return struct.pack("<B", len(suffix)) + suffix.encode() + damaged(_weights()[suffix], chance)


def _read_weights(path: Path) -> None:
    from differnet.extractors.alexnet import AlexNet  # noqa: PLC0415
    from differnet.extractors.checkpoints import read_checkpoint  # noqa: PLC0415
    from differnet.model_file.official import read_official_flow  # noqa: PLC0415

    content = path.read_bytes()
    suffix = content[1 : 1 + content[0]].decode()
    file = path.with_suffix(suffix)
    file.write_bytes(content[1 + content[0] :])
    _by_each(lambda: read_checkpoint(file, AlexNet), lambda: read_official_flow(file))


KINDS: Mapping[str, Kind] = {
    "image": Kind(".png", _mutate_image, _read_image),
    "model": Kind(".safetensors", _mutate_model, _read_model),
    "exported": Kind(".onnx", _mutate_exported, _read_exported),
    "default-model": Kind(".safetensors", partial(_mutate_model, usual=True), _read_model, takes_long=True),
    "default-exported": Kind(".onnx", partial(_mutate_exported, usual=True), _read_exported, takes_long=True),
    "recipe": Kind(".yaml", _mutate_recipe, _read_recipe),
    "list": Kind(".txt", _mutate_list, _read_list),
    "parquet": Kind(".parquet", _mutate_parquet, _read_parquet),
    "journal": Kind(".journal", lambda chance: damaged(_journal(), chance), _read_journal),
    "weights": Kind(".bin", _mutate_weights, _read_weights),
}
"""By name."""

warnings.filterwarnings("ignore")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
