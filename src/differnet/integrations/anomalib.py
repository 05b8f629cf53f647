"""DifferNet as a model of anomalib: fitted, tested and asked by its `Engine`, on its datamodules."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from anomalib import LearningType
from anomalib.data import AnomalibDataset, Batch, InferenceBatch, PredictDataset
from anomalib.metrics.evaluator import Evaluator
from anomalib.models import AnomalibModule
from anomalib.visualization import ImageVisualizer, Visualizer
from torch import Tensor, nn
from torch.nn import functional

from differnet.detector import DifferNet
from differnet.errors import CalibrationError, ImageError, SettingsError
from differnet.images import GivenImage
from differnet.images.region_of_interest import read_region
from differnet.inspection.explanation import Explanation
from differnet.settings import preset

__all__ = ["DifferNetModule", "FixedScaleVisualizer"]


class DifferNetModule(AnomalibModule):  # type: ignore[misc] # untyped where anomalib is not installed
    """DifferNet in anomalib's `Engine`.

    Scores are raw, and maps on the scale of good images (1 is the hottest that they get), unless a post-processor of
    anomalib is given. Decisions are by the threshold that good images set, not by labelled ones: ``pred_label`` is
    whether the score is above it, ``pred_mask`` where the map is above 1.

    Images are read from their files as `DifferNet` reads them (more than eight bits, orientation) where batches name
    them and nothing augments or pre-processes them; else the batches' pixels are taken.

    Args:
        preset: Name of the settings to start from.
        settings: Changes to them, such as ``{"training.epochs": 3, "seed": 1}``.
        false_reject_rate: Share of good parts that may be refused, in (0, 1).
        threshold: A raw threshold by hand instead.
        region: Region of interest: a box ``x,y,width,height``, or the path of a mask image.
        weights: File or folder with the extractor's pretrained weights; None searches for them.
        pre_processor: As for all of anomalib's models; DifferNet needs none.
        post_processor: One of anomalib's, which then normalises and decides instead; True for its usual one.
        evaluator: As for all of anomalib's models.
        visualizer: As for all of anomalib's models.

    Attributes:
        differnet: The model itself, to save, to export, to calibrate anew.
    """

    def __init__(
        self,
        preset: str = "default",
        *,
        settings: dict[str, Any] | None = None,
        false_reject_rate: float = 0.05,
        threshold: float | None = None,
        region: str | None = None,
        weights: str | None = None,
        pre_processor: nn.Module | bool = False,
        post_processor: nn.Module | bool = False,
        evaluator: Evaluator | bool = True,
        visualizer: Visualizer | bool = True,
    ) -> None:
        super().__init__(
            pre_processor=pre_processor, post_processor=post_processor, evaluator=evaluator, visualizer=visualizer
        )
        self._preset, self._changes = preset, {"calibration.false_reject_rate": false_reject_rate, **(settings or {})}
        self._by_hand, self._region, self._weights = threshold, region, weights
        self._good: list[Any] = []
        self.model = _Network(decides=self.post_processor is None)

    @classmethod
    def from_file(cls, path: str | Path, **components: Any) -> DifferNetModule:  # noqa: ANN401 - of the constructor
        """Make the module of a model file, ready to test and predict.

        Args:
            path: A file that `DifferNet.save` or ``differnet train`` wrote.
            components: Pre-processor, post-processor, evaluator, visualizer.

        Raises:
            ModelFileError: If the file cannot be used.
        """
        module = cls(**components)
        module.model.differnet = DifferNet.load(path)
        return module

    @property
    def differnet(self) -> DifferNet:
        """The model itself.

        Raises:
            NotFittedError: If it has not learnt anything.
        """
        found: DifferNet = self.model.differnet
        _ = found.fitted
        return found

    def training_step(self, batch: Batch, *_: Any, **__: Any) -> Tensor:  # noqa: ANN401 - anomalib's
        """Note the images of a batch; they are learnt from once all are known."""
        self._good += self._images(batch, self.trainer.train_dataloader)
        return torch.zeros((), requires_grad=True, device=self.device)

    def on_train_start(self) -> None:
        """Begin anew."""
        self._good = []

    def on_validation_start(self) -> None:
        """Learn before the validation that closes the epoch."""
        self._learn()

    def on_train_epoch_end(self) -> None:
        """Learn where there was no validation."""
        self._learn()

    def validation_step(self, batch: Batch, *_: Any, **__: Any) -> Batch:  # noqa: ANN401 - anomalib's
        """Predict where anyone wants to know: nothing of it is used for the threshold."""
        if self.post_processor is None and not (self.evaluator and len(self.evaluator.val_metrics)):
            return batch
        return self._predicted(batch, self.trainer.val_dataloaders)

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> Batch:
        """Predict for a batch with labels."""
        return self._predicted(batch, self.trainer.test_dataloaders, dataloader_idx)

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> Batch:
        """Predict for a batch."""
        return self._predicted(batch, self.trainer.predict_dataloaders, dataloader_idx)

    def configure_optimizers(self) -> None:
        """None: DifferNet trains by itself."""

    @property
    def trainer_arguments(self) -> dict[str, Any]:
        """One pass over the images, on one device."""
        return {"max_epochs": 1, "val_check_interval": 1.0, "num_sanity_val_steps": 0, "devices": 1}

    @property
    def learning_type(self) -> LearningType:
        """Good images alone."""
        return LearningType.ONE_CLASS

    @classmethod
    def configure_visualizer(cls) -> ImageVisualizer:
        """Pictures of all images on one scale of colours."""
        return FixedScaleVisualizer()

    def to_onnx(self, export_root: Path | str, model_file_name: str = "model", *_: Any, **options: Any) -> Path:  # noqa: ANN401
        """Export as ``differnet export --map`` does, to a graph that takes uint8 images of any size.

        Args:
            export_root: The folder; the file lies in its ``weights/onnx``.
            model_file_name: Name of the file without suffix.
            options: Those of anomalib's models do not apply; a size may be given, and is not needed.

        Raises:
            SettingsError: If another option is given.
            DifferNetError: As `export_model` does.
        """
        return self._export(export_root, model_file_name, "onnx", options)

    def to_openvino(self, export_root: Path | str, model_file_name: str = "model", *_: Any, **options: Any) -> Path:  # noqa: ANN401
        """Export as ``differnet export --map --to openvino`` does; see `to_onnx`."""
        return self._export(export_root, model_file_name, "openvino", options)

    def _export(self, root: Path | str, name: str, target: str, options: Mapping[str, Any]) -> Path:
        from differnet.export.targets import TARGETS  # noqa: PLC0415 - an optional package
        from differnet.export.write import export_model  # noqa: PLC0415

        unfit = {"input_size", "metric", "max_drop", "datamodule"}
        given = [option for option, value in options.items() if value and option not in unfit]
        if given:
            raise SettingsError(f"DifferNet's export has no {', '.join(given)}; leave it out.")
        folder = Path(root) / "weights" / target
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}{TARGETS.find(target).suffix}"
        with _arithmetic_of_its_own():
            export_model(self.differnet, file, target, with_map=True)
        return file

    def _learn(self) -> None:
        if not self._good:
            return
        images, self._good = self._good, []
        region = None if self._region is None else read_region(self._region, images)
        model = DifferNet(
            preset(self._preset).with_overrides(self._changes),
            region=region,
            device=_device(self.device),
            weights=self._weights,
        )
        with _arithmetic_of_its_own():
            model.fit(images)
            if self._by_hand is not None:
                model.calibrate(threshold=self._by_hand)
        if model.calibration is None and self.model.decides:
            raise CalibrationError(
                f"{model.uncalibrated_reason} Or give more good images, another false_reject_rate, a threshold, or "
                "post_processor=True for anomalib's threshold from labelled images."
            )
        self.model.differnet = model

    def _predicted(self, batch: Batch, loaders: object, place: int = 0) -> Batch:
        size = tuple(batch.image.shape[-2:])
        found = self.model.predict(self._images(batch, loaders, place), size, batch.image.device)
        return batch.update(**found._asdict())

    def _images(self, batch: Batch, loaders: object, place: int = 0) -> list[GivenImage]:
        """The files of a batch, or its pixels where those are not what the files hold."""
        several = loaders if isinstance(loaders, Sequence) else [loaders]
        dataset = getattr(several[place], "dataset", None)
        paths = getattr(batch, "image_path", None)
        as_it_is = isinstance(dataset, AnomalibDataset) and dataset.augmentations is None
        as_it_is = as_it_is or (isinstance(dataset, PredictDataset) and dataset.transform is None)
        if paths and as_it_is and self.pre_processor is None:
            return list(paths)
        return [*_as_pixels(batch.image)]


class FixedScaleVisualizer(ImageVisualizer):  # type: ignore[misc] # untyped where anomalib is not installed
    """anomalib's pictures, with colours that mean the same in all of them: the middle is the hottest of good images."""

    def on_test_batch_end(  # noqa: PLR0917 - anomalib's
        self,
        trainer: Any,  # noqa: ANN401
        pl_module: Any,  # noqa: ANN401
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw a batch."""
        shown = dataclasses.replace(batch, anomaly_map=(batch.anomaly_map / 2).clamp(0, 1))
        super().on_test_batch_end(trainer, pl_module, outputs, shown, batch_idx, dataloader_idx)


class _Network(nn.Module):
    """What anomalib takes for the network: DifferNet, kept in the state as its model file.

    Args:
        decides: Whether to give labels and masks too.
    """

    def __init__(self, decides: bool) -> None:
        super().__init__()
        self.decides = decides
        self.differnet = DifferNet()

    def forward(self, images: Tensor) -> InferenceBatch:
        """Predict for float (n, 3, height, width) images in [0, 1]."""
        return self.predict([*_as_pixels(images)], tuple(images.shape[-2:]), images.device)

    def predict(self, images: Sequence[GivenImage], size: tuple[int, ...], device: torch.device) -> InferenceBatch:
        """Predict for images in any form; maps are brought to a height and width."""
        with _arithmetic_of_its_own():
            found = self.differnet.explain_many(images)
        maps = torch.stack([_map(explanation, size) for explanation in found]).to(device)
        scores = torch.tensor([explanation.verdict.score for explanation in found], dtype=torch.float32, device=device)
        calibration = self.differnet.calibration
        if not self.decides or calibration is None:
            return InferenceBatch(pred_score=scores, anomaly_map=maps)
        refused = torch.tensor([explanation.verdict.decision == "reject" for explanation in found], device=device)
        return InferenceBatch(pred_score=scores, pred_label=refused, anomaly_map=maps, pred_mask=maps > 1)

    def get_extra_state(self) -> Tensor:
        """The model file as uint8, empty for a model that has learnt nothing."""
        if self.differnet.manifest is None:
            return torch.empty(0, dtype=torch.uint8)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.safetensors"
            self.differnet.save(file)
            return torch.from_numpy(np.frombuffer(file.read_bytes(), np.uint8).copy())

    def set_extra_state(self, state: Tensor) -> None:
        """Take over what `get_extra_state` gave."""
        if not len(state):
            self.differnet = DifferNet()
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.safetensors"
            file.write_bytes(state.cpu().numpy().tobytes())
            self.differnet = DifferNet.load(file, device=_device(state.device))


def _map(explanation: Explanation, size: tuple[int, ...]) -> Tensor:
    heat = torch.from_numpy(explanation.heat)
    if tuple(heat.shape) == size:
        return heat
    # Batches of images of several sizes are of one size.
    return functional.interpolate(heat[None, None], size=size, mode="bilinear", antialias=True)[0, 0]


def _as_pixels(images: Tensor) -> Iterator[np.ndarray]:
    """Uint8 (height, width, 3) images of a batch in [0, 1]."""
    if images.ndim != 4:
        raise ImageError(f"DifferNet takes batches of images, (n, 3, height, width), not {tuple(images.shape)}.")
    if len(images) and (images.min() < 0 or images.max() > 1):
        raise ImageError(
            "The images of a batch are not in [0, 1]; DifferNet resizes and normalises by itself: leave the "
            "pre_processor out."
        )
    yield from (images.detach().float() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def _device(device: torch.device) -> str:
    """The Engine's device, where DifferNet runs on such."""
    return str(device) if device.type == "cuda" else "cpu"


@contextmanager
def _arithmetic_of_its_own() -> Iterator[None]:
    """No autocast and no inference mode of Lightning's: the same numbers as without it, and gradients where needed."""
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        yield
