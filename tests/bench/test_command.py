"""``differnet bench`` as users run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import run


@pytest.fixture(scope="module")
def measured(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], str]:
    """What one run wrote as JSON, and printed."""
    output = tmp_path_factory.mktemp("bench") / "bench.json"
    options = ["--quick", "--repeat", 1, "--images", "1,3,6", "--device", "cpu", "-o", output]
    done = run("bench", model_file, *options)
    return json.loads(output.read_text()), done.stdout


def test_a_quick_run_measures_everything_without_a_data_set(measured: tuple[dict[str, object], str]) -> None:
    document, _ = measured
    cases = {case["name"]: case for case in document["cases"]}  # type: ignore[attr-defined]
    assert set(cases) == {
        "train",
        "--help",
        "info",
        "score 1 image",
        "score 3 images",
        "score 6 images",
        "evaluate",
        "explain",
    }
    for case in cases.values():
        assert 0 < case["seconds"]["min"] <= case["seconds"]["median"] <= case["seconds"]["max"]
        assert 5e6 < case["peak_bytes"]["median"] < 8e9
    assert cases["--help"]["seconds"]["median"] < cases["score 1 image"]["seconds"]["median"]
    # torch alone takes more than 100 MB.
    assert cases["info"]["peak_bytes"]["max"] < 1e8 < cases["score 1 image"]["peak_bytes"]["max"]
    assert document["image_size"] == [128, 128]
    assert [one["quantity"] for one in document["scaling"]] == [  # type: ignore[attr-defined]
        "number of images",
        "size of the image file",
        "size that the extractor sees",
        "number of views",
    ]
    assert [point["x"] for point in document["scaling"][0]["points"]] == [1, 3, 6]  # type: ignore[index]
    ceilings = document["ceilings"]
    assert ceilings["float32"]["gflops"] > 0  # type: ignore[index]
    assert {bar["verdict"] for bar in document["bars"]} <= {"aim", "bar", "missed", "not measured"}  # type: ignore[attr-defined]


def test_tables_show_the_same_figures(measured: tuple[dict[str, object], str]) -> None:
    document, text = measured
    [helped] = [case for case in document["cases"] if case["name"] == "--help"]  # type: ignore[attr-defined]
    [line] = [line for line in text.splitlines() if line.split()[:1] == ["--help"]]
    assert f"{helped['seconds']['median']:.2f}" in line.split()
    for title in ("Whole commands", "Scoring an image", "Cost by a straight line", "Promises", "extract", "flow"):
        assert title in text


def test_a_product_of_ones_own_is_measured_and_json_is_alone_on_stdout(model_file: Path, product: Path) -> None:
    options = ["--quick", "--repeat", 1, "--images", "1,2", "--no-train", "--product", product, "--device", "cpu"]
    document = json.loads(run("bench", model_file, *options, "--json").stdout)
    assert document["product"] == str(product)
    assert document["image_size"] == [96, 96]
    cases = {case["name"]: case["images"] for case in document["cases"]}
    assert "train" not in cases
    assert cases["evaluate"] == 14


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere.safetensors"], "no such model file"),
        (["MODEL", "--images", "1,many"], "not numbers of images"),
        (["MODEL", "--repeat", "0"], "--repeat"),
        (["MODEL", "--product", "nowhere"], "nowhere"),
        (["MODEL", "-o", "no/such/folder/x.json"], "cannot be written"),
        (["MODEL", "--quick", "--device", "gpu7"], "device 'gpu7' cannot be used"),
    ],
)
def test_bad_input_is_told_in_a_sentence(model_file: Path, arguments: list[str], complaint: str) -> None:
    words = [str(model_file) if word == "MODEL" else word for word in arguments]
    done = run("bench", *words, code=1)
    assert complaint in done.stderr
    assert done.stdout == ""


def test_without_a_model_it_is_wrong_usage() -> None:
    assert "model" in run("bench", code=2).stderr.lower()
