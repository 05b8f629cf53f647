"""Nothing is done twice on the way of an image: each file is opened once, each view seen and judged once."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from differnet import DifferNet, Explanation, Failure, Sample, Settings, Verdict
from differnet.cli.main import app
from differnet.errors import SettingsError
from differnet.images import HashedFile, data_fingerprint, read_image

_opened: Counter[str] | None = None


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _opened is not None and isinstance(arguments[0], (str, bytes)):
        _opened[str(arguments[0])] += 1


@pytest.fixture(scope="module", autouse=True)
def _audited() -> None:
    sys.addaudithook(_note)  # stays for as long as the process does, and counts within `opened` alone


@contextmanager
def opened(paths: Sequence[Path]) -> Iterator[list[int]]:
    """How often each file is opened inside the block, known after it."""
    global _opened  # noqa: PLW0603 - an audit hook cannot be taken back
    counts: list[int] = []
    _opened = Counter()
    try:
        yield counts
        counts += [_opened[str(path)] for path in paths]
    finally:
        _opened = None


@pytest.fixture
def images(product: Path) -> list[Path]:
    return sorted((product / "test").glob("*/*.png"))


def test_each_image_is_opened_once_to_be_scored_inspected_and_explained(fitted: DifferNet, images: list[Path]) -> None:
    for way in (
        fitted.score,
        lambda paths: list(fitted.inspect_stream(paths)),
        lambda paths: fitted.inspect_prepared([fitted.prepare(path) for path in paths]),
        lambda paths: list(fitted.explain_stream(paths, with_images=True)),
    ):
        with opened(images) as counts:
            way(images)
        assert counts == [1] * len(images)


def test_the_command_draws_over_the_image_that_it_has_read(
    model_file: Path, images: list[Path], tmp_path: Path
) -> None:
    with opened(images[:3]) as counts:
        done = CliRunner().invoke(app, ["explain", str(model_file), *map(str, images[:3]), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert counts == [1] * 3


@pytest.mark.parametrize(
    ("changes", "times"),
    [
        ({"calibration.method": "cross-fitted"}, 2),
        ({"calibration.method": "held-out", "training.near_copies": "ignored"}, 2),
        ({"calibration.method": "held-out"}, 3),
    ],
    ids=["cross-fitted", "held-out", "held-out-compared"],
)
def test_training_opens_each_image_once_more_than_it_learns_from_it_its_fingerprint_included(
    product: Path, small_settings: Settings, tmp_path: Path, changes: dict[str, str], times: int
) -> None:
    """To put them in the order of their contents all are read; to divide near-copies, all are seen, too."""
    paths = []
    for path in sorted((product / "train" / "good").iterdir()):
        paths.append(tmp_path / path.name)
        paths[-1].write_bytes(path.read_bytes())
    damaged = tmp_path / "zzz.png"
    damaged.write_text("not an image")
    settings = small_settings.with_overrides({"training.epochs": 1, **changes})
    with opened([*paths, damaged]) as counts:
        model = DifferNet(settings, device="cpu").fit([*paths, damaged])
    assert counts == [times] * (len(paths) + 1)
    assert model.manifest is not None
    digests = sorted(hashlib.sha256(path.read_bytes()).digest() for path in [*paths, damaged])
    assert model.manifest.training.data_sha256 == hashlib.sha256(b"".join(digests)).hexdigest()


def test_a_hashed_file_is_the_image_and_the_fingerprint_of_its_path(images: list[Path], tmp_path: Path) -> None:
    hashed = [HashedFile(path) for path in images]
    assert data_fingerprint(hashed) == data_fingerprint(images)
    for one, path in zip(hashed, images, strict=True):
        assert (read_image(one) == read_image(path)).all()
        assert str(one) == str(path)
    with opened(images) as counts:
        assert data_fingerprint(hashed) == data_fingerprint([*reversed(hashed)])
    assert counts == [0] * len(images)
    missing = HashedFile(tmp_path / "missing.png")
    assert data_fingerprint([*hashed, missing]) == data_fingerprint(images)


def test_an_explanation_holds_the_image_only_where_it_was_asked_for(fitted: DifferNet, images: list[Path]) -> None:
    [with_image] = fitted.explain_stream(images[:1], with_images=True)
    [without] = fitted.explain_stream(images[:1])
    assert isinstance(with_image, Explanation)
    assert isinstance(without, Explanation)
    assert (with_image.original == read_image(images[0])).all()
    with pytest.raises(SettingsError, match="with_images"):
        _ = without.original


@pytest.fixture(scope="module", params=[False, True], ids=["flow", "joined"])
def sequential(request: pytest.FixtureRequest, product: Path, small_settings: Settings) -> DifferNet:
    chosen = {
        "views.kind": "rotations",
        "views.count": 32,
        "views.training_count": 2,
        "extractor.scales": 1,
        "scoring.error_probability": 0.001,
        "scoring.local": request.param,
    }
    return DifferNet(small_settings.with_overrides(chosen), device="cpu").fit(product)


def test_in_sequence_the_flow_sees_each_view_once(sequential: DifferNet, images: list[Path]) -> None:
    seen: list[int] = []
    flow = sequential.inspection.model.flow
    first = next(layer for layer in flow.modules() if isinstance(layer, torch.nn.Linear))
    handle = first.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    try:
        streamed = list(sequential.inspect_stream(images))
        prepared = [sequential.prepare(image) for image in images]
        together, again = sequential.inspect_prepared(prepared), sequential.inspect_prepared(prepared)
    finally:
        handle.remove()
    views = [verdict.views for verdict in streamed if isinstance(verdict, Verdict)]
    assert len(views) == len(images)
    assert max(views) > 4  # some take more than a first look
    # The stream and the prepared ones each ask once; what was judged before is not asked about again.
    assert sum(seen) == 2 * sum(views)
    for first_time, second, sample in zip(together, again, prepared, strict=True):
        assert isinstance(first_time, Verdict)
        assert isinstance(second, Verdict)
        assert isinstance(sample, Sample)
        assert (first_time.score, first_time.views) == (second.score, second.views)
        assert len(sample.features) == len(sample.energies) == first_time.views


def test_energies_kept_are_to_the_bit_those_of_all_views_together(sequential: DifferNet, images: list[Path]) -> None:
    for image in images[:6]:
        sample = sequential.prepare(image)
        assert not isinstance(sample, Failure)
        sequential.inspect_prepared([sample])
        with torch.no_grad():
            assert torch.equal(sample.energies, sequential.flow.energy(sample.features))
