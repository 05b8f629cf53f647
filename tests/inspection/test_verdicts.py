"""Several verdicts at once, and what notebooks show of them."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from differnet import DifferNet, Failure, GivenImage, Verdict, Verdicts, evaluate, write_report
from differnet.errors import DatasetError, ImageError, SettingsError
from tests.conftest import plate


def test_all_forms_of_an_image_get_the_same_verdict(fitted: DifferNet, product: Path) -> None:
    file = product / "test" / "scratch" / "000.png"
    with Image.open(file) as picture:
        array = np.asarray(picture)
        tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
        forms: list[GivenImage] = [file, file.as_uri(), file.read_bytes(), array, picture, tensor]
        verdicts = [fitted.inspect(form) for form in forms]
    assert len({verdict.score for verdict in verdicts}) == 1
    assert len({float(fitted.score(form)[0]) for form in forms[:1] + forms[3:]}) == 1


def test_a_folder_a_list_and_a_failure_make_a_table(fitted: DifferNet, product: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    verdicts = fitted.inspect_many([product / "test" / "scratch", tmp_path / "broken.png"])
    assert len(verdicts) == 5
    assert [type(result) for result in verdicts] == [Verdict] * 4 + [Failure]
    assert len(verdicts.verdicts) == 4
    assert verdicts.counts["failed"] == 1
    assert np.isnan(verdicts.scores).tolist() == [False] * 4 + [True]
    assert isinstance(verdicts[:2], Verdicts)
    pandas = pytest.importorskip("pandas")
    frame = verdicts.to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == [*Verdict.columns(), "reason"]
    assert frame["path"].tolist() == [result.source for result in verdicts]
    assert frame["reason"].notna().tolist() == [False] * 4 + [True]
    assert "1 failed" in repr(verdicts)
    assert "broken.png" in verdicts._repr_html_()


def test_one_image_is_asked_for_where_one_is_judged(fitted: DifferNet, product: Path) -> None:
    with pytest.raises(ImageError, match="is a folder"):
        fitted.inspect(product)
    with pytest.raises(ImageError, match="not 2"):
        fitted.inspect(np.zeros((2, 32, 32, 3), np.uint8))
    singles: list[Any] = [np.zeros((64, 64, 3), np.uint8), torch.zeros(3, 64, 64), Image.new("RGB", (64, 64))]
    for one in singles:
        with pytest.raises(DatasetError, match="not one"):
            DifferNet().fit(one)


def test_an_explanation_draws_itself(fitted: DifferNet, tmp_path: Path) -> None:
    image = plate(np.random.default_rng(3), "blot")
    (explanation,) = fitted.explain_many(image)
    picture = explanation.overlay()
    explanation.save(tmp_path / "map.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "map.png")), picture)
    shown = explanation._repr_png_()
    assert shown is not None
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(shown))), picture)
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    assert np.array_equal(np.asarray(explanation.plot().get_images()[0].get_array()), picture)
    assert "array[0]" in repr(explanation)
    bare = next(fitted.explain_stream([image]))
    assert not isinstance(bare, Failure)
    assert bare._repr_png_() is None
    with pytest.raises(SettingsError, match="holds no image"):
        bare.overlay()


def test_a_model_tells_what_it_is(fitted: DifferNet) -> None:
    assert "fitted=False" in repr(DifferNet())
    assert f"model_id={fitted.fitted.manifest.model_id}" in repr(fitted)
    assert "<table>" in fitted._repr_html_()


def test_a_product_is_evaluated_and_reported_by_its_folder(fitted: DifferNet, product: Path, tmp_path: Path) -> None:
    assert evaluate(fitted, product).good_images == 6
    write_report(fitted, product, tmp_path / "report.html")
    assert product.name in (tmp_path / "report.html").read_text()


def test_the_log_says_what_is_done(model_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "differnet"):
        DifferNet.load(model_file).save(tmp_path / "again.safetensors")
    assert [record.getMessage().split()[0] for record in caplog.records] == ["loaded", "saved"]
