"""Every example runs; those in other languages give the verdicts of ``differnet score``. ``make test-examples``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from differnet.images.solar_cells import choose_cells, find_dataset

EXAMPLES = Path(__file__).parents[2] / "examples"


def environment() -> dict[str, str]:
    """Commands are those of this environment, active or not."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "MLFLOW_ALLOW_FILE_STORE": "true"}


def run(*words: str | Path, cwd: Path, code: int = 0) -> str:
    done = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, check=False, cwd=cwd, env=environment(), timeout=900
    )
    assert done.returncode == code, f"{words}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    return done.stdout if code == 0 else done.stdout + done.stderr


def python(name: str, *words: str | Path, cwd: Path) -> str:
    return run(sys.executable, EXAMPLES / "python" / f"{name}.py", *words, cwd=cwd)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``bottle/``, which holds solar cells, and ``bottle.safetensors``, by the first of the examples."""
    folder, cells = tmp_path_factory.mktemp("shop"), choose_cells(find_dataset())
    for name, files in (
        ("train/good", cells.train[:40]),
        ("test/good", cells.test_good[:8]),
        ("test/crack", cells.test_defective[:6]),
    ):
        (folder / "bottle" / name).mkdir(parents=True)
        for i, file in enumerate(files):
            shutil.copyfile(file, folder / "bottle" / name / f"{i:03}.png")
    told = python("train_and_score", "bottle/train/good", "bottle/test", "--model", "bottle.safetensors", cwd=folder)
    assert "above the threshold" in told
    assert len((folder / "verdicts.csv").read_text().splitlines()) == 1 + 14
    return folder


def test_thresholds(shop: Path) -> None:
    told = python("own_threshold", "bottle.safetensors", "bottle/test/good", "bottle/test/crack/000.png", cwd=shop)
    assert [line.split(":")[0] for line in told.splitlines()] == [
        "as it was trained",
        "20 % refused, 40 % looked at",
        "from images of its own",
        "by hand",
    ]
    assert "by hand: accept" in told
    assert (shop / "own-threshold.safetensors").exists()


def test_scikit_learn(shop: Path) -> None:
    told = python("scikit_learn_detector", "bottle", cwd=shop)
    assert float(told.split("AUROC:")[1]) > 0.7


def test_a_camera(shop: Path) -> None:
    video = cv2.VideoWriter(str(shop / "frames.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (300, 300))
    for file in sorted((shop / "bottle" / "test").glob("*/00[01].png")):
        video.write(np.asarray(Image.open(file).convert("RGB"))[:, :, ::-1])
    video.release()
    told = python("camera", "bottle.safetensors", "--camera", "frames.avi", cwd=shop)
    lines = [line.split("\t") for line in told.splitlines() if "\t" in line]
    assert [line[0] for line in lines] == ["0", "1", "2", "3"]
    refused = [f"{int(number):06}.png" for number, decision, *_ in lines if decision == "reject"]
    assert sorted(file.name for file in (shop / "refused").iterdir()) == refused


def test_mlflow(shop: Path) -> None:
    pytest.importorskip("mlflow", reason="make test-examples installs it")
    assert "decision" in python("mlflow_tracking", "bottle", cwd=shop)


@dataclass(frozen=True)
class Program:
    """A program in another language."""

    words: tuple[str | Path, ...]


@pytest.fixture(scope="module", params=["javascript", "cpp"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    if request.param == "javascript":
        folder = EXAMPLES / "javascript"
        if not (folder / "node_modules").is_dir():
            pytest.skip("make test-examples installs its packages")
        return Program(("node", folder / "inspect.mjs"))
    build = tmp_path_factory.mktemp("build")
    found = "from openvino.utils import get_cmake_path; print(get_cmake_path())"
    openvino = run(sys.executable, "-c", found, cwd=build).strip()
    run("cmake", "-S", EXAMPLES / "cpp", "-B", build, f"-DOpenVINO_DIR={openvino}", cwd=build)
    run("cmake", "--build", build, cwd=build)
    return Program((build / "inspect",))


@pytest.fixture(scope="module")
def exported(shop: Path) -> Path:
    run("differnet", "export", "bottle.safetensors", "-o", "bottle.onnx", "--map", "--threshold-input", cwd=shop)
    return shop


def lines(told: str) -> dict[str, tuple[float, str]]:
    return {
        path: (float(score), decision) for score, decision, path in (line.split("\t") for line in told.splitlines())
    }


def test_another_language_says_what_differnet_says(program: Program, exported: Path) -> None:
    files = sorted(str(file.relative_to(exported)) for file in (exported / "bottle" / "test").glob("*/*.png"))
    Image.open(exported / files[0]).convert("RGBA").save(exported / "transparent.png")
    Image.open(exported / files[-1]).convert("RGB").resize((200, 260)).save(exported / "tall.png")
    files += ["transparent.png", "tall.png"]
    expected = json.loads(
        run("differnet", "score", "bottle.safetensors", *files, "--views", "all", "--json", cwd=exported)
    )
    found = lines(run(*program.words, "bottle.onnx", *files, cwd=exported))
    assert len(found) == len(files) == len(expected["images"])
    assert {image["decision"] for image in expected["images"]} == {"accept", "reject"}
    for image in expected["images"]:
        score, decision = found[image["path"]]
        assert score == pytest.approx(image["score"], rel=1e-3, abs=1e-3)
        assert decision == image["decision"], image


def test_threshold_and_region_are_given_with_the_images(program: Program, exported: Path) -> None:
    frame = np.zeros((340, 380, 3), np.uint8)
    part = np.asarray(Image.open(exported / "bottle/test/good/000.png").convert("RGB"))
    frame[25:325, 40:340] = part
    Image.fromarray(frame).save(exported / "frame.png")
    for threshold in ("-100", "100"):
        given = ["bottle.onnx", "frame.png", "--threshold", threshold, "--region", "40,25,300,300"]
        expected = json.loads(run("differnet-inspect", *given, "--json", cwd=exported))["images"][0]
        score, decision = lines(run(*program.words, *given, cwd=exported))["frame.png"]
        assert score == pytest.approx(expected["score"], rel=1e-3, abs=1e-3)
        assert decision == expected["decision"] == ("reject" if threshold == "-100" else "accept")


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(program: Program, exported: Path) -> None:
    (exported / "broken.png").write_bytes(b"not an image")
    Image.fromarray(np.full((64, 64), 40000, np.uint16)).save(exported / "deep.png")
    good = "bottle/test/good/000.png"
    told = run(*program.words, "bottle.onnx", "broken.png", "deep.png", good, cwd=exported, code=1)
    assert f"\t{good}" in told
    assert "deep.png: has not 8 bits a channel" in told
    assert "broken.png: " in told
    assert "usage" in run(*program.words, "bottle.onnx", cwd=exported, code=2)
