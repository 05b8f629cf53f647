"""Images of more than eight bits are learnt and judged as their eight-bit originals; what is unlike them is told."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from differnet import DifferNet, Settings, Verdict
from differnet.export.write import export_model
from differnet.images import PixelScale, read_good_images, read_image, read_test_images
from differnet.model_file.bundle import read_bundle, write_bundle
from differnet_runtime import Inspector
from tests.cli.test_commands import run

TWELVE = PixelScale(False, (0.0, 4095.0))


def twelve(pixels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """As a camera of twelve bits gives it, its low bits in use."""
    return pixels * np.uint16(16) + np.random.default_rng(0).integers(0, 16, pixels.shape, dtype=np.uint16)


@pytest.fixture(scope="module")
def deep_product(product: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("deep")
    for file in sorted(product.rglob("*.png")):
        target = root / file.relative_to(product)
        target.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target), twelve(read_image(file))[:, :, ::-1])
    return root


@pytest.fixture(scope="module")
def deep(deep_product: Path, small_settings: Settings) -> DifferNet:
    return DifferNet(small_settings, device="cpu").fit(deep_product)


def verdicts(model: DifferNet, product: Path) -> list[Verdict]:
    results = model.inspect_stream([image.path for image in read_test_images(product)], all_views=True)
    return [result for result in results if isinstance(result, Verdict)]


def test_twelve_bits_are_learnt_and_scored_as_eight(
    deep: DifferNet, fitted: DifferNet, deep_product: Path, product: Path
) -> None:
    assert deep.pixel_scale == TWELVE
    assert fitted.pixel_scale == PixelScale(True)
    ours, expected = verdicts(deep, deep_product), verdicts(fitted, product)
    assert [verdict.score for verdict in ours] == [verdict.score for verdict in expected]
    assert {verdict.unlike for verdict in (*ours, *expected)} == {None}
    # A raw score depends on the scale too.
    assert ours[0].model_id != expected[0].model_id


def test_arrays_are_learnt_as_files_are(deep: DifferNet, product: Path, small_settings: Settings) -> None:
    arrays = [twelve(read_image(path)) for path in read_good_images(product).paths]
    model = DifferNet(small_settings, device="cpu").fit(arrays)
    assert model.pixel_scale == TWELVE
    image = twelve(read_image(read_test_images(product)[0].path))
    assert model.inspect(image).score == deep.inspect(image).score


def test_the_scale_is_kept_in_file_copy_and_pickle(deep: DifferNet, deep_product: Path, tmp_path: Path) -> None:
    deep.save(tmp_path / "m.safetensors")
    expected = [verdict.score for verdict in verdicts(deep, deep_product)]
    for model in (DifferNet.load(tmp_path / "m.safetensors"), copy.deepcopy(deep), pickle.loads(pickle.dumps(deep))):
        assert model.pixel_scale == TWELVE
        assert [verdict.score for verdict in verdicts(model, deep_product)] == expected


def test_an_export_has_the_scale(deep: DifferNet, deep_product: Path, tmp_path: Path) -> None:
    export_model(deep, tmp_path / "m.onnx")
    inspector = Inspector(tmp_path / "m.onnx", threads=1)
    images = [image.path for image in read_test_images(deep_product)]
    ours = [inspector.inspect(image) for image in images]
    for verdict, expected in zip(ours, verdicts(deep, deep_product), strict=True):
        assert verdict.score == pytest.approx(expected.score, rel=1e-4, abs=1e-4)
        assert verdict.unlike is None
    eight = np.full((96, 96), 99, np.uint8)
    assert inspector.inspect(eight).unlike == deep.inspect(eight).unlike is not None


def test_a_file_of_an_earlier_version_reads_the_high_byte(deep: DifferNet, tmp_path: Path) -> None:
    deep.save(tmp_path / "new.safetensors")
    manifest, tensors = read_bundle(tmp_path / "new.safetensors")
    training = manifest.training.model_copy(update={"seen": None})
    write_bundle(tmp_path / "old.safetensors", manifest.model_copy(update={"training": training}), tensors)
    old = DifferNet.load(tmp_path / "old.safetensors")
    assert old.pixel_scale is None
    image = np.random.default_rng(0).integers(0, 65536, (96, 96), dtype=np.uint16)
    assert old.inspect(image).score == old.inspect((image >> 8).astype(np.uint8)).score
    assert old.inspect(image).unlike is None


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.full((96, 96), 60, np.uint8), "8 bits a value, training images more than 8 bits a value"),
        (np.full((96, 96), 60000, np.uint16), "values from 60000 to 60000"),
        (np.full((96, 144), 2000, np.uint16), "another aspect: 144 x 96 pixels, training images 96 x 96"),
    ],
)
def test_what_is_unlike_the_training_images_is_told(deep: DifferNet, image: NDArray[np.uint8], said: str) -> None:
    assert said in str(deep.inspect(image).unlike)
    [prepared] = deep.inspect_prepared([deep.prepare(image)])
    assert isinstance(prepared, Verdict)
    assert said in str(prepared.unlike)
    [explained] = deep.explain_stream([image])
    assert said in str(getattr(explained, "verdict").unlike)  # noqa: B009


def test_the_commands_tell_of_it(deep_product: Path, fitted: DifferNet, product: Path, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m.safetensors")
    large = tmp_path / "large.png"
    Image.fromarray(read_image(read_test_images(product)[0].path)).resize((288, 192)).save(large)
    twelve_bit = read_test_images(deep_product)[0].path
    said = run("score", tmp_path / "m.safetensors", large, twelve_bit, *(product / "test" / "good").iterdir(), "--json")
    assert "2 of 8 image(s) are unlike the training images" in said.stderr
    assert "another aspect and size: 288 x 192 pixels, training images 96 x 96" in said.stderr
    assert "more than 8 bits a value, training images 8 bits a value" in said.stderr
    rows = json.loads(said.stdout)["images"]
    assert [row["unlike"] is None for row in rows] == [False, False, *[True] * 6]
    for command in (["explain", "-o", tmp_path / "maps"], ["evaluate"]):
        images = [large] if command[0] == "explain" else [deep_product]
        assert "unlike the training images" in run(command[0], tmp_path / "m.safetensors", *images, *command[1:]).stderr
    assert "unlike" not in run("evaluate", tmp_path / "m.safetensors", product).stderr


@pytest.mark.parametrize(
    ("width", "tiles", "said"),
    [(80, "none", None), (300, "none", "sides differ 5.0 to 1"), (300, "auto", "as 2 overlapping tiles")],
)
def test_training_says_how_much_long_images_are_squeezed(
    small_settings: Settings, width: int, tiles: str, said: str | None
) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (60, width, 3), dtype=np.uint8) for _ in range(16)]
    changes = {
        "training.epochs": 1,
        "views.kind": "none",
        "views.count": 1,
        "views.training_count": 1,
        "views.tiles": tiles,
    }
    model = DifferNet(small_settings.with_overrides(changes), device="cpu").fit(images)
    assert model.manifest is not None
    remarks = " ".join(model.manifest.training.remarks)
    assert "resized to squares" not in remarks if said is None else said in remarks
