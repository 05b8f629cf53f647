"""A training that was stopped at any moment goes on, and gives the model that it would have given."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from differnet import DifferNet, Listener, Settings
from differnet.errors import ResumeError
from differnet.settings import preset
from differnet.training import EpochReport
from differnet.training.state import Part, TrainingState
from tests.prepared import run_prepared

LITTLE: Mapping[str, Any] = {
    "views.size": 128,
    "extractor.scales": 2,
    "views.count": 2,
    "views.training_count": 2,
    "flow.hidden": 16,
    "flow.blocks": 2,
    "training.epochs": 4,
}
# One flow with whitening, whose noise is drawn anew in every step, and the best epoch by held-out images.
HELD_OUT = {"flow.whiten": True, "training.patience": 0}
FOLDS = {"calibration.method": "cross-fitted", "calibration.folds": 3, "scoring.local": True, "flow.whiten": True}


class StopsAfter(Listener):
    """Does something in an epoch, counted over all folds."""

    def __init__(self, epoch: int, stop: Callable[[], None]) -> None:
        self.at, self.stop = epoch, stop
        self.heard: list[int] = []

    def epoch(self, report: EpochReport) -> None:
        self.heard.append(report.epoch)
        if report.epoch == self.at:
            self.stop()


class StoppedError(Exception):
    """The training is over for now."""


def stop() -> None:
    raise StoppedError


def learnt(model: DifferNet, file: Path) -> tuple[dict[str, torch.Tensor], object]:
    """All tensors of a model, and its threshold."""
    model.save(file)
    return tensors_of(file)


def tensors_of(file: Path) -> tuple[dict[str, torch.Tensor], object]:
    with safe_open(file, "pt") as opened:
        manifest = json.loads(opened.metadata()["manifest"])
    calibration = {k: v for k, v in (manifest["calibration"] or {}).items() if k != "created"}
    return load_file(file), (manifest["model_id"], manifest["training"]["epochs"], calibration)


def assert_same(a: tuple[dict[str, torch.Tensor], object], b: tuple[dict[str, torch.Tensor], object]) -> None:
    assert a[1] == b[1]
    assert a[0].keys() == b[0].keys()
    for name, tensor in a[0].items():
        np.testing.assert_array_equal(tensor.numpy(), b[0][name].numpy(), err_msg=name)


@pytest.mark.parametrize(
    ("changes", "at"),
    [(HELD_OUT, 4), (HELD_OUT | {"training.keep": "last"}, 2), (FOLDS, 9)],
    ids=["best-epoch", "last-epoch", "folds"],
)
def test_it_gives_the_same_model_to_the_last_bit(
    product: Path, small_settings: Settings, tmp_path: Path, changes: Mapping[str, Any], at: int
) -> None:
    settings = small_settings.with_overrides({**changes, "training.epochs": 4 if changes is FOLDS else 6})
    images = sorted((product / "train" / "good").iterdir())[:12]

    def new() -> DifferNet:
        return DifferNet(settings, device="cpu", cache=tmp_path / "features")

    whole = learnt(new().fit(images), tmp_path / "whole.safetensors")
    file = tmp_path / "kept.state"
    with pytest.raises(StoppedError):
        new().fit(images, StopsAfter(at, stop), state=TrainingState(file, seconds=0))
    told: list[str] = []
    listener = StopsAfter(-1, stop)
    model = new().fit(images, listener, state=TrainingState(file, resume=True, tell=told.append))
    # What is reported of the epoch in which it was stopped was not yet kept.
    assert listener.heard[0] == at
    assert "goes on" in told[0]
    assert file.exists()
    assert_same(learnt(model, tmp_path / "resumed.safetensors"), whole)
    assert not file.exists()


def die(product: str, settings: Settings, state: str) -> None:
    torch.set_num_threads(1)
    model = DifferNet(settings, device="cpu")
    killed = StopsAfter(3, lambda: os.kill(os.getpid(), signal.SIGKILL))
    model.fit(product, killed, state=TrainingState(state, seconds=0))


def test_a_killed_process_is_gone_on_with_by_the_command(
    product: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = preset("paper").with_overrides(LITTLE)
    output, few = tmp_path / "model.safetensors", tmp_path_factory.mktemp("few")
    for image in sorted((product / "train" / "good").iterdir())[:6]:
        shutil.copy(image, few)
    process = multiprocessing.get_context("forkserver").Process(
        target=die, args=(str(few), settings, f"{output}.state")
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    words = ["train", str(few), "-o", str(output), "--preset", "paper", "--device", "cpu"]
    words += [f"--set={name}={value}" for name, value in LITTLE.items()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    other = run_prepared([*words, "--resume", "--seed", "1"], environment)
    assert other.returncode == 1
    assert "with other settings (seed); train without resuming" in other.stderr
    assert not output.exists()
    done = run_prepared([*words, "--resume"], environment)
    assert done.returncode == 0, done.stderr
    assert "goes on after 2 epochs" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors"]
    whole = DifferNet(settings, device="cpu").fit(few)
    assert_same(tensors_of(output), learnt(whole, tmp_path / "whole.safetensors"))


def kept(file: Path, **identity: object) -> TrainingState:
    state = TrainingState(file, seconds=0)
    state.begin({"settings": {"seed": 0, "flow": {"hidden": 8}}, "images": "abc", **identity})
    state.part("flow", 1).keep({"epochs": 2}, {"a": torch.ones(3)})
    return state


def resumed(file: Path, **identity: object) -> TrainingState:
    state = TrainingState(file, resume=True)
    state.begin({"settings": {"seed": 0, "flow": {"hidden": 8}}, "images": "abc", **identity})
    return state


@pytest.mark.parametrize(
    ("identity", "told"),
    [
        ({"settings": {"seed": 0, "flow": {"hidden": 9}}}, r"other settings \(flow.hidden\)"),
        ({"images": "abd"}, "other images"),
        ({"differnet": "9.9"}, r"by differnet .*, this is 9\.9"),
    ],
)
def test_the_state_of_another_training_is_refused(tmp_path: Path, identity: dict[str, object], told: str) -> None:
    kept(tmp_path / "a.state")
    with pytest.raises(ResumeError, match=told):
        resumed(tmp_path / "a.state", **identity)


@pytest.mark.parametrize("damage", ["cut", "bit", "foreign", "empty"])
def test_a_damaged_or_foreign_file_is_refused(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "a.state"
    kept(file)
    content = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(content[:-4])
    elif damage == "bit":
        content[-1] ^= 1
        file.write_bytes(content)
    elif damage == "foreign":
        save_file({"a": torch.ones(1)}, file)
    else:
        file.write_bytes(b"")
    with pytest.raises(ResumeError, match=r"a\.state: .*train without resuming"):
        resumed(file)


def test_without_resuming_a_state_is_told_of_and_not_used(tmp_path: Path) -> None:
    file = tmp_path / "a.state"
    told: list[str] = []
    kept(file)
    state = TrainingState(file, tell=told.append)
    state.begin({})
    assert "is not used" in told[0]
    assert not state.part("flow", 1).is_known
    assert resumed(file).part("flow", 1).is_known


def test_what_a_part_is_made_of_tells_it_from_others(tmp_path: Path) -> None:
    kept(tmp_path / "a.state")
    state = resumed(tmp_path / "a.state")
    known = state.part("flow", 1).over()
    assert known is not None
    assert torch.equal(known.tensors["a"], torch.ones(3))
    assert not state.part("flow", 2).is_known


def test_where_there_is_none_training_begins_and_says_so(tmp_path: Path) -> None:
    told: list[str] = []
    TrainingState(tmp_path / "none.state", resume=True, tell=told.append).begin({})
    assert "no state to go on with" in told[0]


def test_a_state_that_cannot_be_written_ends_no_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = TrainingState(tmp_path / "missing" / "a.state", seconds=0)
    state.begin({})
    for _ in range(2):
        state.part("flow").offer(lambda: Part({}))
    assert [record.message.count("cannot be kept") for record in caplog.records] == [1]


def test_writing_takes_a_small_share_of_the_time(tmp_path: Path) -> None:
    written = []
    state = TrainingState(tmp_path / "a.state", seconds=1e-9)
    state.begin({})

    def make() -> Part:
        written.append(1)
        return Part({}, {"a": torch.ones(300_000)})

    state.part("flow").offer(make)
    state.part("flow").offer(make)
    assert len(written) == 1
