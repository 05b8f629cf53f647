"""The public face: fit, score, save, load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from differnet import DifferNet, Failure, Settings, Verdict
from differnet.detector import Listener
from differnet.errors import DatasetError, ImageError, ModelFileError, NotFittedError, SettingsError, WeightsError
from differnet.images import read_image, read_test_images
from differnet.training import EpochReport, split_held_out
from tests.conftest import plate


def test_defective_parts_score_higher_than_good_ones(fitted: DifferNet, product: Path) -> None:
    scores: dict[bool, list[float]] = {True: [], False: []}
    for image in read_test_images(product):
        scores[image.is_defective].append(fitted.score(image.path).item())
    assert min(scores[True]) > np.median(scores[False])


def test_paths_arrays_and_folders_give_the_same_model(product: Path, small_settings: Settings) -> None:
    settings = small_settings.with_overrides({"training.epochs": 2})
    good = sorted((product / "train" / "good").iterdir())
    inputs = (product, good[0].parent, good, [read_image(path) for path in good])
    scores = [DifferNet(settings, device="cpu").fit(images).score(good[:3]).tolist() for images in inputs]
    assert all(row == scores[0] for row in scores)


def test_the_same_seed_gives_the_same_scores_and_another_seed_others(product: Path, small_settings: Settings) -> None:
    image = product / "test" / "good" / "000.png"
    scores: list[float] = []
    for seed in (0, 0, 1):
        settings = small_settings.with_overrides({"seed": seed, "training.epochs": 2})
        torch.manual_seed(len(scores))  # the caller's random state must not matter
        before = torch.random.get_rng_state()
        scores.append(DifferNet(settings, device="cpu").fit(product).score(image).item())
        assert torch.equal(torch.random.get_rng_state(), before)
    assert scores[0] == scores[1] != scores[2]


def test_a_saved_model_scores_the_same_to_the_last_bit_in_another_process(
    fitted: DifferNet, model_file: Path, product: Path
) -> None:
    images = [image.path for image in read_test_images(product)]
    program = (
        "import sys; from differnet import DifferNet\n"
        "model = DifferNet.load(sys.argv[1], device='cpu')\n"
        "print(','.join(float(score).hex() for score in model.score(sys.argv[2:])))"
    )
    arguments = [sys.executable, "-c", program, str(model_file), *map(str, images)]
    output = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    assert output.strip() == ",".join(float(score).hex() for score in fitted.score(images))


def test_a_model_file_tells_how_it_was_made(model_file: Path, small_settings: Settings) -> None:
    model = DifferNet.load(model_file, device="cpu")
    assert model.settings == small_settings
    assert model.manifest is not None
    record = model.manifest.training
    assert (record.origin, record.images, record.held_out_images) == ("trained", 14, 10)
    assert 1 <= record.kept_epoch <= record.epochs == 6
    assert not record.interrupted


def test_held_out_scores_are_those_of_good_images_training_did_not_see(fitted: DifferNet, product: Path) -> None:
    every = fitted.score(sorted((product / "train" / "good").iterdir()))
    held_out = fitted.held_out_scores.numpy()
    assert len(held_out) == 10
    distances = np.abs(every[:, None] - held_out[None]).min(axis=0)
    assert np.allclose(distances, 0, atol=1e-4)


def test_the_order_and_the_names_of_images_do_not_change_the_data_fingerprint(
    fitted: DifferNet, product: Path, small_settings: Settings, tmp_path: Path
) -> None:
    settings = small_settings.with_overrides({"training.epochs": 1})
    for i, path in enumerate(sorted((product / "train" / "good").iterdir(), reverse=True)):
        (tmp_path / f"{i:02}.png").write_bytes(path.read_bytes())
    renamed = DifferNet(settings, device="cpu").fit(tmp_path)
    (tmp_path / "00.png").unlink()
    fewer = DifferNet(settings, device="cpu").fit(tmp_path)
    fingerprints = [model.manifest.training.data_sha256 for model in (fitted, renamed, fewer) if model.manifest]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_streaming_reports_a_bad_image_and_goes_on(fitted: DifferNet, product: Path, tmp_path: Path) -> None:
    good = product / "test" / "good" / "000.png"
    broken = tmp_path / "broken.png"
    broken.write_bytes(good.read_bytes()[:300])
    results = list(fitted.inspect_stream([good, broken, good]))
    assert [type(result) for result in results] == [Verdict, Failure, Verdict]
    with pytest.raises(ImageError, match=r"broken\.png"):
        fitted.score([good, broken])


def test_training_leaves_out_damaged_images_and_says_which(
    product: Path, small_settings: Settings, tmp_path: Path
) -> None:
    for path in sorted((product / "train" / "good").iterdir()):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "zzz.png").write_text("not an image")
    model = DifferNet(small_settings.with_overrides({"training.epochs": 1}), device="cpu").fit(tmp_path)
    assert [failure.source for failure in model.failures] == [str(tmp_path / "zzz.png")]


def test_mixed_sizes_and_modes_are_learnt_from(small_settings: Settings) -> None:
    rng = np.random.default_rng(0)
    images: list[np.ndarray] = [plate(rng, size=size) for size in (96, 64, 150, 96, 200, 40)]
    images += [plate(rng)[:, :, 0], plate(rng) / 255.0, plate(rng)[:, :70].astype(np.uint16) * 257]
    model = DifferNet(small_settings.with_overrides({"training.epochs": 1}), device="cpu").fit(images)
    assert np.isfinite(model.score(images)).all()


@pytest.mark.parametrize("views", ["bank", "fresh"])
@pytest.mark.parametrize("kind", ["rotations", "symmetries", "none"])
def test_every_kind_of_views_trains(product: Path, small_settings: Settings, kind: str, views: str) -> None:
    count = 1 if kind == "none" else 3
    settings = small_settings.with_overrides(
        {
            "views.kind": kind,
            "views.count": count,
            "views.training_count": count,
            "views.brightness": 0.1,
            "training.views": views,
            "training.epochs": 2,
        }
    )
    model = DifferNet(settings, device="cpu").fit(product)
    assert np.isfinite(model.score(product / "test" / "good" / "000.png")).all()


def test_fresh_views_leave_out_damaged_images_too(product: Path, small_settings: Settings, tmp_path: Path) -> None:
    for path in sorted((product / "train" / "good").iterdir())[:12]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "bad.png").write_text("not an image")
    settings = small_settings.with_overrides(
        {"training.views": "fresh", "training.epochs": 2, "training.held_out": 0.0, "training.keep": "last"}
    )
    model = DifferNet(settings, device="cpu").fit(tmp_path)
    assert [failure.source for failure in model.failures] == [str(tmp_path / "bad.png")]


def test_a_listener_hears_of_images_and_epochs(product: Path, small_settings: Settings) -> None:
    heard: list[object] = []

    class Ear(Listener):
        def images(self, stage: str, done: int, total: int) -> None:
            heard.append((stage, done, total))

        def epoch(self, report: EpochReport) -> None:
            heard.append(report.epoch)

    DifferNet(small_settings.with_overrides({"training.epochs": 2}), device="cpu").fit(product, Ear())
    assert ("features", 14, 14) in heard
    assert ("held-out features", 10, 10) in heard
    assert heard[-2:] == [1, 2]


def test_an_unfitted_model_says_so() -> None:
    model = DifferNet(device="cpu")
    with pytest.raises(NotFittedError, match="fit"):
        model.score(np.zeros((32, 32), np.uint8))
    with pytest.raises(NotFittedError, match="fit"):
        model.save("never.safetensors")


def test_a_failed_fit_does_not_leave_a_half_fitted_model(product: Path, small_settings: Settings) -> None:
    model = DifferNet(small_settings, device="cpu")
    with pytest.raises(DatasetError):
        model.fit([product / "train" / "good" / "000.png"])
    with pytest.raises(NotFittedError):
        model.score(product / "test" / "good" / "000.png")


def test_a_damaged_array_is_named_by_its_place_among_all(small_settings: Settings) -> None:
    rng = np.random.default_rng(0)
    images: list[np.ndarray] = [plate(rng) for _ in range(20)]
    images[3] = images[13] = np.zeros((2, 2), np.uint8)
    for views in ("bank", "fresh"):
        settings = small_settings.with_overrides({"training.epochs": 2, "training.views": views})
        model = DifferNet(settings, device="cpu").fit(images)
        assert {failure.source for failure in model.failures} == {"array[3]", "array[13]"}
        assert model.manifest is not None
        assert model.manifest.training.images + model.manifest.training.held_out_images == 18


@pytest.mark.parametrize("bad", ["only-damaged", "only-damaged-fresh", "held-out-damaged", "one-array", "single"])
def test_too_little_to_learn_from_is_an_error(small_settings: Settings, tmp_path: Path, bad: str) -> None:
    model = DifferNet(small_settings, device="cpu")
    with pytest.raises(DatasetError):
        if bad == "held-out-damaged":
            images: list[np.ndarray] = [plate(np.random.default_rng(0)) for _ in range(20)]
            for i in split_held_out(20, small_settings.training, small_settings.seed)[1]:
                images[i] = np.zeros((2, 2), np.uint8)
            model.fit(images)
        elif bad.startswith("only-damaged"):
            if bad.endswith("fresh"):
                fresh = {"training.views": "fresh", "training.held_out": 0.0, "training.keep": "last"}
                model = DifferNet(small_settings.with_overrides(fresh), device="cpu")
            for i in range(20):
                (tmp_path / f"{i}.png").write_text("no image")
            model.fit(tmp_path)
        elif bad == "one-array":
            model.fit(np.zeros((64, 64, 3), np.uint8))
        else:
            model.fit([np.zeros((64, 64, 3), np.uint8)])


def test_tensors_of_the_wrong_shape_are_refused(model_file: Path, tmp_path: Path) -> None:
    from differnet.bundle import read_bundle, write_bundle

    manifest, tensors = read_bundle(model_file)
    name = "flow.blocks.0.subnet1.0.weight"
    for change in ({name: torch.zeros(2, 2)}, {}):
        kept = {key: tensor for key, tensor in tensors.items() if key != name} | change
        write_bundle(tmp_path / "m.safetensors", manifest, kept)
        with pytest.raises(ModelFileError, match="subnet1"):
            DifferNet.load(tmp_path / "m.safetensors")


def test_other_extractor_weights_than_in_training_are_refused(
    fitted: DifferNet, model_file: Path, product: Path, tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    state = {name: tensor * 1.01 for name, tensor in fitted.extraction.extractor.state_dict().items()}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "alexnet.safetensors")
    model = DifferNet.load(model_file, weights=tmp_path, device="cpu")
    with pytest.raises(WeightsError, match="other alexnet weights"):
        model.score(product / "test" / "good" / "000.png")


def test_unknown_presets_and_devices_are_named() -> None:
    with pytest.raises(SettingsError, match="default, paper"):
        DifferNet("papers")
    for device in ("gpu", "cuda:99"):
        with pytest.raises(SettingsError, match=device):
            DifferNet(device=device)
