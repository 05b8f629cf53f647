"""The benchmark of a GPU runs on a CPU, and trains what `DifferNet.fit` trains."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.gpu import main
from benchmarks.paper_run import Paper

from differnet import DifferNet
from differnet.images import read_test_images
from differnet.settings import Settings, preset

LITTLE = {
    "views.size": 128,
    "extractor.scales": 2,
    "views.count": 4,
    "views.training_count": 2,
    "flow.hidden": 16,
    "flow.blocks": 2,
    "training.epochs": 2,
}


@pytest.fixture(scope="module")
def little() -> Settings:
    return preset("paper").with_overrides(LITTLE)


def test_the_quick_run_prints_a_table_and_writes_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--quick", "--device", "cpu", "-o", str(tmp_path / "figures.json")])
    printed = capsys.readouterr().out
    for row in ("float32 product", "an epoch, median", "image AUROC, last epoch", "default scoring of 6 files"):
        assert f"| {row}" in printed
    assert "FAILED" not in printed
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert figures["paper"]["epochs"] == figures["paper"]["wanted_epochs"] == 2
    assert figures["features apart"]["full"] == 0.0
    assert figures["default apart"]["decisions"] == figures["default apart"]["images"] == 6


def test_the_paper_run_is_that_of_fit_to_the_last_bit(product: Path, little: Settings) -> None:
    paper = Paper(little, product, "plates", torch.device("cpu"))
    paper.train()
    images = [image.path for image in read_test_images(product)]
    expected = DifferNet(little, device="cpu").fit(product)
    np.testing.assert_array_equal(paper.model().score(images), expected.score(images))
    good = np.array(paper.good)
    scores = expected.score(images)
    pairs = scores[~good][:, None] - scores[good][None]
    assert paper.result.image_auroc == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    assert [look["epoch"] for look in paper.result.curve] == [2]


def test_a_run_without_time_keeps_its_last_whole_epoch(product: Path, little: Settings) -> None:
    paper = Paper(little.with_overrides({"training.epochs": 50}), product, "plates", torch.device("cpu"), deadline=0.0)
    paper.train()
    assert (paper.result.epochs, paper.result.wanted_epochs) == (1, 50)
    assert paper.result.image_auroc is not None


def test_the_paper_alone_on_several_products_and_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from differnet.bench.photographs import make_product

    for name in ("nuts", "bolts"):
        make_product(tmp_path / name, width=96, height=96, training=6, testing=2)
        for image in (tmp_path / name / "test" / "blot").iterdir():
            mask = tmp_path / name / "ground_truth" / "blot" / f"{image.stem}_mask.png"
            mask.parent.mkdir(parents=True, exist_ok=True)
            from PIL import Image

            Image.fromarray((np.asarray(Image.open(image).convert("L")) < 40).astype(np.uint8) * 255).save(mask)
    data = [f"--data={tmp_path / name}" for name in ("nuts", "bolts")]
    output = tmp_path / "results" / "paper.json"
    main(["--paper-only", "--quick", "--device=cpu", "--seeds=0,1", "--workers=2", f"-o{output}", *data])
    capsys.readouterr()
    results = json.loads(output.read_text(encoding="utf-8"))
    assert [(run["product"], run["seed"]) for run in results] == [("nuts", 0), ("bolts", 0), ("nuts", 1), ("bolts", 1)]
    for run in results:
        assert 0.0 <= run["image_auroc"] <= run["best_look_auroc"] <= 1.0
        assert run["pixel_auroc"] > 0.5
        assert len(run["losses"]) == run["epochs"] == 2


def test_a_product_that_cannot_be_read_is_told_and_the_others_are_measured(
    product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = [f"--set={name}={value}" for name, value in {**LITTLE, "training.epochs": 1}.items()]
    output = tmp_path / "paper.json"
    with pytest.raises(SystemExit, match=r"error: DatasetError: .*nowhere"):
        data = [f"--data={folder}" for folder in (tmp_path / "nowhere", product)]
        main(["--paper-only", "--device=cpu", "--no-maps", f"-o{output}", *data, *changes])
    assert "Traceback" in capsys.readouterr().err
    assert [run["product"] for run in json.loads(output.read_text(encoding="utf-8"))] == [product.name]
