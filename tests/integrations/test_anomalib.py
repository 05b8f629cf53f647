"""In anomalib's Engine, on its datamodules, DifferNet says what it says by itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from differnet import DifferNet, Settings
from differnet.errors import CalibrationError, ImageError, NotFittedError, SettingsError

pytest.importorskip("anomalib", reason="make test-anomalib installs it")

from anomalib.data import Folder, PredictDataset
from anomalib.engine import Engine
from anomalib.metrics import AUROC, Evaluator
from anomalib.post_processing import PostProcessor
from anomalib.pre_processing import PreProcessor
from torchvision.transforms.v2 import Identity, Normalize

from differnet.images.solar_cells import choose_cells, find_dataset
from differnet.integrations.anomalib import DifferNetModule

SETTINGS = {
    "training.epochs": 4,
    "views.size": 256,
    "views.flow_size": 128,
    "localization.components": 64,
}


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product of the demo's solar cells, the defective ones with masks of their halves."""
    root, split = tmp_path_factory.mktemp("cells"), choose_cells(find_dataset())
    for folder, files in (
        ("train/good", split.train[:60]),
        ("test/good", split.test_good[:8]),
        ("test/defective", split.test_defective[:8]),
    ):
        (root / folder).mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, root / folder / file.name)
            if folder == "test/defective":
                (root / "masks").mkdir(exist_ok=True)
                mask = np.zeros(np.asarray(Image.open(file)).shape[:2], np.uint8)
                mask[: len(mask) // 2] = 255
                Image.fromarray(mask).save(root / "masks" / file.name)
    return root


@pytest.fixture(scope="module")
def alone(cells: Path) -> DifferNet:
    return DifferNet(Settings().with_overrides(SETTINGS), device="cpu").fit(cells / "train" / "good")


def data(cells: Path) -> Folder:
    return Folder(
        name="cells",
        root=cells,
        normal_dir="train/good",
        abnormal_dir="test/defective",
        normal_test_dir="test/good",
        mask_dir="masks",
        train_batch_size=16,
        eval_batch_size=5,
        num_workers=0,
        val_split_mode="same_as_test",
    )


def engine(folder: Path) -> Engine:
    return Engine(default_root_dir=folder, accelerator="cpu", enable_progress_bar=False)


def by_path(predictions: list[Any]) -> dict[str, tuple[float, bool, np.ndarray, np.ndarray]]:
    return {
        str(Path(item.image_path)): (
            float(item.pred_score),
            bool(item.pred_label),
            item.anomaly_map.numpy(),
            item.pred_mask.numpy(),
        )
        for batch in predictions
        for item in batch
    }


@pytest.fixture(scope="module")
def trained(cells: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, DifferNetModule, list[Any]]:
    running, module = engine(tmp_path_factory.mktemp("results")), DifferNetModule(settings=SETTINGS)
    metrics = running.train(module, datamodule=data(cells))
    return running, module, metrics


def test_scores_decisions_and_maps_are_those_of_differnet_itself(
    trained: tuple[Engine, DifferNetModule, list[Any]], alone: DifferNet, cells: Path
) -> None:
    running, module, metrics = trained
    found = by_path(running.predict(module, datamodule=data(cells)))
    files = sorted((cells / "test").glob("*/*.png"))
    assert sorted(found) == [str(file) for file in files]
    for file, explained in zip(files, alone.explain_many(files), strict=True):
        score, refused, heat, mask = found[str(file)]
        assert score == explained.verdict.score
        assert refused == (explained.verdict.decision == "reject")
        assert np.array_equal(heat, explained.heat)
        assert np.array_equal(mask, explained.heat > 1)
    assert module.differnet.manifest.model_id == alone.manifest.model_id  # type: ignore[union-attr] # both are fitted
    labels, scores = [file.parent.name == "defective" for file in files], [found[str(file)][0] for file in files]
    assert metrics[0]["image_AUROC"] == pytest.approx(roc_auc_score(labels, scores))
    assert {"image_F1Score", "pixel_AUROC", "pixel_F1Score"} <= set(metrics[0])
    pictures = list(Path(running.trainer.default_root_dir).rglob("images/**/*.png"))
    assert len(pictures) >= len(files)


def test_a_checkpoint_and_a_model_file_hold_the_same_model(
    trained: tuple[Engine, DifferNetModule, list[Any]], cells: Path, tmp_path: Path
) -> None:
    running, module, _ = trained
    file = next((cells / "test" / "defective").glob("*.png"))
    expected = module.differnet.explain_many(file)[0].verdict.score
    loaded = DifferNetModule.load_from_checkpoint(running.best_model_path)
    module.differnet.save(tmp_path / "cells.safetensors")
    of_file = DifferNetModule.from_file(tmp_path / "cells.safetensors")
    for other in (loaded, of_file):
        predictions = engine(tmp_path).predict(other, dataset=PredictDataset(file))
        assert [float(batch.pred_score) for batch in predictions] == [expected]
        assert predictions[0].image_path == [str(file)]
    empty = DifferNetModule(settings=SETTINGS)
    found = engine(tmp_path).predict(empty, data_path=file, ckpt_path=running.best_model_path)
    assert float(found[0].pred_score) == expected


def test_pixels_of_batches_are_taken_where_files_are_not_what_counts(
    trained: tuple[Engine, DifferNetModule, list[Any]], alone: DifferNet, cells: Path, tmp_path: Path
) -> None:
    _, module, _ = trained
    file = next((cells / "test" / "defective").glob("*.png"))
    turned = PredictDataset(file, transform=lambda image: image.flip(-1))
    found = engine(tmp_path).predict(module, dataset=turned)
    flipped = np.asarray(Image.open(file).convert("RGB"))[:, ::-1]
    assert float(found[0].pred_score) == alone.explain_many(flipped)[0].verdict.score
    # As the inferencer of torch calls it.
    inferred = module(torch.from_numpy(flipped.copy()).permute(2, 0, 1)[None] / 255)
    assert float(inferred.pred_score) == float(found[0].pred_score)
    assert inferred.anomaly_map.shape == (1, *flipped.shape[:2])


def test_threshold_region_and_files_of_other_kinds(cells: Path, tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    for file in cells.glob("t*/*/*.png"):
        target = deep / file.relative_to(cells)
        target.parent.mkdir(parents=True, exist_ok=True)
        grey = np.asarray(Image.open(file).convert("L")).astype(np.uint16) * 200
        Image.fromarray(grey).save(target)
    settings = {**SETTINGS, "seed": 3}
    module = DifferNetModule(settings=settings, threshold=0.25, region="20,20,200,200")
    running = engine(tmp_path / "results")
    running.fit(module, datamodule=Folder(name="deep", root=deep, normal_dir="train/good", num_workers=0))
    assert module.differnet.calibration is not None
    assert module.differnet.calibration.threshold == 0.25
    assert module.differnet.region is not None
    found = by_path(running.predict(module, dataset=PredictDataset(deep / "test")))
    assert all(refused == (score > 0.25) for score, refused, _, _ in found.values())
    assert all(heat[:20].max() == 0 for _, _, heat, _ in found.values())
    some = next((deep / "test" / "good").glob("*.png"))
    assert found[str(some)][0] == module.differnet.explain_many(some)[0].verdict.score


def test_anomalibs_own_components_are_heard(cells: Path, tmp_path: Path) -> None:
    evaluator = Evaluator(val_metrics=[AUROC(fields=["pred_score", "gt_label"], prefix="val_")])
    module = DifferNetModule(settings=SETTINGS, post_processor=True, evaluator=evaluator, visualizer=False)
    running = engine(tmp_path)
    running.fit(module, datamodule=data(cells))
    assert "val_AUROC" in running.trainer.callback_metrics
    found = by_path(running.predict(module, datamodule=data(cells)))
    assert all(0 <= score <= 1 for score, *_ in found.values())
    assert isinstance(module.post_processor, PostProcessor)
    assert float(module.post_processor.image_threshold) != module.differnet.calibration.threshold  # type: ignore[union-attr]


def test_exported_files_say_the_same(
    trained: tuple[Engine, DifferNetModule, list[Any]], cells: Path, tmp_path: Path
) -> None:
    onnxruntime: Any = pytest.importorskip("onnxruntime")
    running, module, _ = trained
    file = next((cells / "test" / "good").glob("*.png"))
    expected = module.differnet.explain_many(file)[0]
    exported = running.export(module, "onnx", export_root=tmp_path)
    session = onnxruntime.InferenceSession(str(exported))
    pixels = np.asarray(Image.open(file).convert("RGB"))
    score, heat = session.run(["score", "map"], {"image": pixels})
    assert score == pytest.approx(expected.verdict.score, abs=1e-3)
    assert np.abs(heat - expected.heat).max() < 1e-2
    with pytest.raises(SettingsError, match="no opset_version"):
        running.export(module, "onnx", export_root=tmp_path, onnx_kwargs={"opset_version": 11})


def test_what_cannot_be_done_is_said(cells: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        engine(tmp_path).test(DifferNetModule(), datamodule=data(cells))
    with pytest.raises(CalibrationError, match=r"takes 999 good images"):
        engine(tmp_path).fit(DifferNetModule(settings=SETTINGS, false_reject_rate=0.001), datamodule=data(cells))
    normalising = PreProcessor(transform=Normalize([0.5] * 3, [0.2] * 3))
    with pytest.raises(ImageError, match="leave the pre_processor out"):
        engine(tmp_path).fit(DifferNetModule(settings=SETTINGS, pre_processor=normalising), datamodule=data(cells))
    harmless = DifferNetModule(settings=SETTINGS, pre_processor=PreProcessor(transform=Identity()))
    engine(tmp_path).fit(harmless, datamodule=data(cells))
    assert harmless.differnet.calibration is not None
