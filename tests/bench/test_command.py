"""``differnet bench`` as users run it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from rich.console import Console

from differnet.bench.benchmark import PlannedRun
from differnet.bench.plan import QUICK
from differnet.bench.results import Benchmark
from differnet.bench.tables import print_tables
from differnet.model_file.bundle import read_manifest
from tests.cli.test_commands import run


@pytest.fixture(scope="module")
def measured(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one run wrote as JSON: to its file, and alone to stdout."""
    output = tmp_path_factory.mktemp("bench") / "bench.json"
    options = ["--quick", "--repeat", 1, "--images", "1,3", "--device", "cpu", "-o", output, "--json"]
    document: dict[str, Any] = json.loads(run("bench", model_file, *options).stdout)
    assert json.loads(output.read_text()) == document
    return document


def test_a_quick_run_measures_everything_without_a_data_set(measured: dict[str, Any]) -> None:
    cases = {case["name"]: case for case in measured["cases"]}
    assert set(cases) == {
        "train",
        "--help",
        "info",
        "score 1 image",
        "score 3 images",
        "evaluate",
        "explain",
    }
    for case in cases.values():
        assert 0 < case["seconds"]["min"] <= case["seconds"]["median"] <= case["seconds"]["max"]
        assert 5e6 < case["peak_bytes"]["median"] < 8e9
    assert cases["--help"]["seconds"]["median"] < cases["score 1 image"]["seconds"]["median"]
    # torch alone takes more than 100 MB.
    assert cases["info"]["peak_bytes"]["max"] < 1e8 < cases["score 1 image"]["peak_bytes"]["max"]
    assert measured["image_size"] == [128, 128]
    assert [one["quantity"] for one in measured["scaling"]] == [
        "number of images",
        "size of the image file",
        "size that the extractor sees",
        "number of views",
    ]
    assert [point["x"] for point in measured["scaling"][0]["points"]] == [1, 3]
    assert measured["ceilings"]["float32"]["gflops"] > 0
    assert {bar["verdict"] for bar in measured["bars"]} <= {"aim", "bar", "missed", "not measured"}


def test_tables_show_the_same_figures(measured: dict[str, Any]) -> None:
    output = io.StringIO()
    bars = [{name: value for name, value in bar.items() if name != "verdict"} for bar in measured["bars"]]
    benchmark = TypeAdapter(Benchmark).validate_python({**measured, "bars": bars})
    print_tables(benchmark, Console(file=output, width=200))
    text = output.getvalue()
    [helped] = [case for case in measured["cases"] if case["name"] == "--help"]
    [line] = [line for line in text.splitlines() if line.split()[:1] == ["--help"]]
    assert f"{helped['seconds']['median']:.2f}" in line.split()
    for title in ("Whole commands", "Scoring an image", "Cost by a straight line", "Promises", "extract", "flow"):
        assert title in text


def test_a_product_of_ones_own_is_measured(model_file: Path, product: Path, tmp_path: Path) -> None:
    plan = QUICK.changed(counts=(1, 2), repetitions=1, train=False)
    settings = read_manifest(model_file).settings
    planned = PlannedRun(
        tmp_path, model_file, settings, product=product, plan=plan, device="cpu", weights=None, progress=None
    )
    assert planned.image_size == (96, 96)
    assert planned.training_cases() == []
    cases = {case.name: case for case in planned.cases()}
    assert cases["evaluate"].images == 14
    assert str(product) in cases["evaluate"].words


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
