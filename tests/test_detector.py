"""The public face: fit, score, save, load."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from differnet import DifferNet, Failure, Settings, UncalibratedWarning, Verdict
from differnet.errors import (
    CalibrationError,
    DatasetError,
    ImageError,
    NotFittedError,
    SettingsError,
    WeightsError,
)
from differnet.images import read_image, read_test_images
from differnet.training import EpochReport
from differnet.training.progress import Listener
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


@pytest.mark.parametrize("method", ["held-out", "cross-fitted"])
def test_the_order_and_the_names_of_images_change_nothing(
    product: Path, small_settings: Settings, tmp_path: Path, method: str
) -> None:
    changes = {"training.epochs": 1, "calibration.method": method, "calibration.folds": 3, "scoring.local": True}
    settings = small_settings.with_overrides(changes)
    paths = sorted((product / "train" / "good").iterdir())
    for i, path in enumerate(reversed(paths)):
        (tmp_path / f"{i:02}.png").write_bytes(path.read_bytes())
    damaged = tmp_path / "11b.png"
    damaged.write_text("not an image")
    learnt = DifferNet(settings, device="cpu").fit([*paths, damaged])
    renamed = DifferNet(settings, device="cpu").fit(tmp_path)
    damaged.unlink()
    (tmp_path / "00.png").unlink()
    fewer = DifferNet(settings, device="cpu").fit(tmp_path)
    assert [failure.source for failure in learnt.failures] == [failure.source for failure in renamed.failures]
    tensors = learnt.fitted.tensors()
    assert all((tensor == tensors[name]).all() for name, tensor in renamed.fitted.tensors().items())
    (one, other), third = (model.fitted.manifest for model in (learnt, renamed)), fewer.fitted.manifest
    assert one.calibration == other.calibration != third.calibration
    assert one.model_id == other.model_id != third.model_id
    assert one.training.data_sha256 == other.training.data_sha256 != third.training.data_sha256


def test_a_model_of_too_few_images_for_a_threshold_is_warned_of(product: Path, small_settings: Settings) -> None:
    settings = small_settings.with_overrides({"training.epochs": 1, "calibration.false_reject_rate": 0.05})
    paths = sorted((product / "train" / "good").iterdir())
    with pytest.warns(UncalibratedWarning, match="takes 19 good images, and 10 are at hand"):
        model = DifferNet(settings, device="cpu").fit(paths)
    assert model.calibration is None
    assert model.calibrate(threshold=2.0).threshold == model.inspect(paths[0]).threshold == 2.0
    assert model.fitted.manifest.calibration is not None
    assert model.fitted.manifest.calibration.source == "by-hand"


def test_images_without_a_path_are_called_by_their_place_in_the_input(product: Path, small_settings: Settings) -> None:
    settings = small_settings.with_overrides(
        {"training.epochs": 1, "calibration.method": "cross-fitted", "calibration.folds": 2}
    )
    arrays = [read_image(path) for path in sorted((product / "train" / "good").iterdir())]
    blank = np.zeros((4, 4), np.uint8)
    model = DifferNet(settings, device="cpu").fit([*arrays[:7], blank, *arrays[7:], blank])
    assert [failure.source for failure in model.failures] == ["array[7]", "array[25]"]
    pair = [f"array[{place}]" for place in (0, 3)]
    again = DifferNet(settings, device="cpu").fit([*arrays[:3], arrays[0], *arrays[4:]])
    assert f": {', '.join(pair)}." in "".join(again.fitted.manifest.training.remarks)


def test_streaming_reports_a_bad_image_and_goes_on(fitted: DifferNet, product: Path, tmp_path: Path) -> None:
    good = product / "test" / "good" / "000.png"
    broken = tmp_path / "broken.png"
    broken.write_bytes(good.read_bytes()[:300])
    results = list(fitted.inspect_stream([good, broken, good]))
    assert [type(result) for result in results] == [Verdict, Failure, Verdict]
    with pytest.raises(ImageError, match=r"broken\.png"):
        fitted.score([good, broken])


def test_what_was_prepared_in_any_thread_gets_the_verdict_of_the_stream(
    fitted: DifferNet, product: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("not an image")
    images = [*sorted((product / "test").glob("*/*.png"))[:5], broken]
    with ThreadPoolExecutor(3) as pool:
        prepared = list(pool.map(fitted.prepare, images))
    together = fitted.inspect_prepared(prepared)
    alone = [fitted.inspect_prepared([each])[0] for each in prepared]
    streamed = list(fitted.inspect_stream(images))
    assert [type(result) for result in together] == [type(result) for result in streamed]
    for results in (together, alone):
        for result, expected in zip(results, streamed, strict=True):
            if isinstance(result, Verdict) and isinstance(expected, Verdict):
                assert result.score == pytest.approx(expected.score, rel=1e-4)
                assert (result.source, result.decision) == (expected.source, expected.decision)
                assert result.milliseconds > 0.0
    assert fitted.inspect_prepared([]) == []
    with pytest.raises(NotFittedError):
        DifferNet(fitted.settings, device="cpu").prepare(images[0])


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
    with pytest.raises(SettingsError, match="default, fast, paper"):
        DifferNet("papers")
    for device in ("gpu", "cuda:99"):
        with pytest.raises(SettingsError, match=device):
            DifferNet(device=device)


@pytest.fixture
def loaded(model_file: Path) -> DifferNet:
    """A model of its own, which a test may change."""
    return DifferNet.load(model_file, device="cpu")


def test_inspect_gives_a_verdict_with_size_decision_and_model(fitted: DifferNet, product: Path) -> None:
    path = product / "test" / "blot" / "000.png"
    verdict = fitted.inspect(path)
    assert (verdict.source, verdict.width, verdict.height) == (str(path), 96, 96)
    assert verdict.score == fitted.score(path).item()
    assert fitted.calibration is not None
    assert fitted.manifest is not None
    assert verdict.threshold == fitted.calibration.threshold
    assert verdict.decision == fitted.calibration.decide(verdict.score) == "reject"
    assert verdict.model_id == fitted.manifest.model_id
    assert verdict.milliseconds > 0
    wide = fitted.inspect(read_image(path)[:60])
    assert (wide.source, wide.width, wide.height) == ("array[0]", 96, 60)


def test_the_model_id_is_that_of_the_file_and_another_seeds_is_another(
    fitted: DifferNet, loaded: DifferNet, product: Path, small_settings: Settings
) -> None:
    first, again, other = (
        DifferNet(small_settings.with_overrides({"training.epochs": 1, "seed": seed}), device="cpu").fit(product)
        for seed in (0, 0, 1)
    )
    ids = [model.manifest.model_id for model in (fitted, loaded, first, again, other) if model.manifest]
    assert ids[0] == ids[1]
    assert ids[2] == ids[3]
    assert len({ids[0], ids[2], ids[4]}) == 3
    loaded.calibrate(false_reject_rate=0.3)
    assert loaded.inspect(product / "test" / "good" / "000.png").model_id == ids[0]


def test_calibrating_to_another_rate_takes_the_scores_that_training_kept(fitted: DifferNet, loaded: DifferNet) -> None:
    assert fitted.calibration is not None
    calibration = loaded.calibrate(false_reject_rate=0.3, review_rate=0.5)
    assert calibration is loaded.calibration
    assert calibration.threshold < fitted.calibration.threshold
    scores = loaded.held_out_scores.numpy()
    assert (scores > calibration.threshold).mean() <= 0.3
    assert loaded.manifest is not None
    assert loaded.manifest.calibration == calibration.record("held-out")
    assert loaded.uncalibrated_reason == ""


def test_calibrating_with_images_takes_their_scores(loaded: DifferNet, product: Path, tmp_path: Path) -> None:
    good = sorted((product / "test" / "good").iterdir())
    (tmp_path / "broken.png").write_text("no image")
    calibration = loaded.calibrate([*good[:2], tmp_path / "broken.png", *good[2:]], false_reject_rate=0.2)
    assert np.array_equal(loaded.held_out_scores.numpy(), loaded.score(good))
    assert calibration.threshold == loaded.score(good).max()
    assert [failure.source for failure in loaded.failures] == [str(tmp_path / "broken.png")]
    assert loaded.manifest is not None
    assert loaded.manifest.calibration is not None
    assert (loaded.manifest.calibration.source, loaded.manifest.calibration.images) == ("images", 6)


def test_a_failed_calibration_says_what_is_needed_and_keeps_the_old_one(
    loaded: DifferNet, product: Path, tmp_path: Path
) -> None:
    heard: list[str] = []

    class Ear(Listener):
        def images(self, stage: str, done: int, total: int) -> None:
            heard.append(stage)

    before, scores, manifest = loaded.calibration, loaded.held_out_scores, loaded.manifest
    good = sorted((product / "test" / "good").iterdir())
    with pytest.raises(CalibrationError, match=r"at least 19 .* there are 10"):
        loaded.calibrate(false_reject_rate=0.05)
    with pytest.raises(CalibrationError, match=r"at least 19 .* there are 6"):
        loaded.calibrate(good, false_reject_rate=0.05, listener=Ear())
    with pytest.raises(SettingsError, match="review_rate"):
        loaded.calibrate(good, false_reject_rate=0.3, review_rate=0.2, listener=Ear())
    with pytest.raises(SettingsError, match="no tail 'normal'"):
        loaded.calibrate(good, false_reject_rate=0.3, tail="normal", listener=Ear())  # type: ignore[arg-type]
    assert heard == [], "what is wrong from the start is said before images are read"
    broken = tmp_path / "broken.png"
    broken.write_text("no image")
    with pytest.raises(CalibrationError, match=r"at least 4 .* there are 3"):
        loaded.calibrate([*good[:3], broken], false_reject_rate=0.2)
    with pytest.raises(DatasetError, match=r"broken\.png"):
        loaded.calibrate([broken] * 9, false_reject_rate=0.2)
    assert loaded.calibration is before
    assert loaded.held_out_scores is scores
    assert loaded.manifest is manifest


def test_a_recalibrated_model_decides_by_the_same_threshold_to_the_last_bit_in_another_process(
    loaded: DifferNet, product: Path, tmp_path: Path
) -> None:
    good = sorted((product / "train" / "good").iterdir())
    loaded.calibrate(good, false_reject_rate=0.1, review_rate=0.2, tail="generalized-pareto")
    loaded.save(tmp_path / "m.safetensors")
    program = (
        "import sys; from differnet import DifferNet\n"
        "model = DifferNet.load(sys.argv[1], device='cpu')\n"
        "verdict = model.inspect(sys.argv[2])\n"
        "numbers = (verdict.threshold, model.calibration.review_threshold, verdict.score, verdict.p_value)\n"
        "print(','.join(number.hex() for number in numbers))"
    )
    image = product / "test" / "scratch" / "000.png"
    arguments = [sys.executable, "-c", program, str(tmp_path / "m.safetensors"), str(image)]
    output = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    assert loaded.calibration is not None
    verdict = loaded.inspect(image)
    assert verdict.p_value is not None
    numbers = (loaded.calibration.threshold, loaded.calibration.review_threshold, verdict.score, verdict.p_value)
    assert output.strip() == ",".join(float(number).hex() for number in numbers if number is not None)


def test_a_damaged_array_is_named_when_it_is_scored(loaded: DifferNet) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ImageError, match=r"array\[2\]"):
        loaded.score([plate(rng), plate(rng), np.zeros((2, 2), np.uint8)])
    with pytest.raises(DatasetError, match="Several"):
        loaded.calibrate(plate(rng))


def test_scoring_imports_nothing_that_only_training_needs(model_file: Path, product: Path) -> None:
    """SciPy's statistics, scikit-learn and torch's compiler take a second each to import."""
    program = (
        "import sys; from differnet import DifferNet; DifferNet.load(sys.argv[1]).inspect(sys.argv[2]); "
        "print(*sorted({'scipy', 'sklearn', 'torch._inductor', 'torch._dynamo'} & set(sys.modules)), sep=',')"
    )
    arguments = [sys.executable, "-c", program, str(model_file), str(product / "test" / "good" / "000.png")]
    assert subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip() == ""
