"""The report is one safe, self-contained page; it says what the numbers say, also where there is little to say."""

from __future__ import annotations

import importlib.util
import json
import re
import stat
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from scipy import stats
from typer.testing import CliRunner

from differnet import DifferNet
from differnet.calibration import Calibration, calibrate
from differnet.cli.commands.report import report as report_command
from differnet.errors import DatasetError, DifferNetError, MissingExtraError, NotFittedError, OutputError
from differnet.evaluation import Estimate
from differnet.evaluation.pixel_metrics import PixelResult
from differnet.images.failure import Failure
from differnet.report import write_report
from differnet.report.content import percent
from tests.report.evaluations import CALIBRATION_SCORES, MODEL_ID, make_evaluation, make_model
from tests.report.page import Page, plain, write

SECTIONS = ["telling", "kinds", "promise", "gallery", "model"]
# Of these characters a file name may have any.
HOSTILE = "\"><script>alert(1)<!-- <img src=x onerror='alert(2)'> &amp; {{ 7 * 7 }}"


def test_page_has_every_section_and_reaches_for_nothing_outside(tmp_path: Path, calibration: Calibration) -> None:
    evaluation = make_evaluation(
        tmp_path / "test",
        calibration,
        pixels=PixelResult(0.971, 0.883),
        good_without_region=Estimate(0.875, 0.47, 0.99),
        failures=[Failure("test/x.png", "test/x.png: is damaged."), Failure("array[3]", "too small.")],
    )
    page = write(make_model(calibration), evaluation, tmp_path / "report.html", credit="Photographs: us, CC BY 4.0")
    assert [e.attributes["aria-labelledby"] for e in page.all("section")] == [*SECTIONS, "skipped"]
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    levels = [int(e.tag[1]) for e in page.elements if re.fullmatch(r"h\d", e.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))

    for element in page.elements:
        assert element.tag not in {"script", "link", "iframe", "object", "base", "form"}
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "xlink:href"}:
                assert value.startswith(("data:image/", "#"))
            elif not name.startswith("xmlns"):
                assert "http" not in value or name == "http-equiv"
    style = "".join(e.text for e in page.all("style"))
    assert "url(" not in style
    assert "@import" not in style
    assert all(e.attributes.get("alt") for e in page.all("img"))
    assert all(e.attributes.get("aria-label") for e in page.elements if e.attributes.get("role") == "img")
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none'")
    assert len(page.all("svg", focusable="false")) == 3

    facts = (
        f"model {MODEL_ID}",
        "AUPRO0.883pixel AUROC 0.971",
        "87.5 %",
        "160 good images, 39 more held out",
        "cdcdcdcdcdcdcdcd",
        "abababababababab",
        "1 min 15 s",
        "20, that of number 17 kept",
        "efficientnet-lite0 at 1 scale",
        "1 (none)",
        "22 ms an image (median)",
        "2026-01-02 03:04 UTC",
        "flow.hidden",
        "CC BY 4.0",
    )
    for expected in facts:
        assert expected in page.text, expected
    assert page.section("skipped") == "Images left out (2) test/x.png: is damaged. array[3]: too small."
    assert not (tmp_path / "report.html").stat().st_mode & stat.S_IXUSR


def test_numbers_are_those_of_the_evaluation(tmp_path: Path, calibration: Calibration) -> None:
    assert calibration.threshold == pytest.approx(2.85)
    page = write(make_model(calibration), make_evaluation(tmp_path, calibration), tmp_path / "report.html")
    tiles = {
        name.text: (value.text, detail.text)
        for name, value, detail in zip(
            page.all("dt")[:5], page.all("dd", class_="value"), page.all("dd", class_="detail"), strict=True
        )
    }
    assert tiles["Threshold"][0] == "2.85"
    # No good one scores above 2.85; 1.15 and 2.2 of five defects do not.
    assert plain(tiles["Good parts refused"][0]) == "0 %"
    assert plain(tiles["Good parts refused"][1]) == "0 to 36.9 %; stated 5 %"
    assert plain(tiles["Defects that escape"][0]) == "40 %"
    assert tiles["Test images"] == ("13", "8 good, 5 defective")
    rows = [[plain(cell) for cell in re.split(r"\n", row.text) if cell.strip()] for row in page.all("tr")[1:]]
    assert [row[0] for row in rows] == ["crack3", "spot2", "all kinds5"]
    assert [re.findall(r"\d of \d", " ".join(row)) for row in rows] == [["1 of 3"], ["1 of 2"], ["2 of 5"]]
    assert "Missed defects (2)" in page.section("gallery")
    assert "False rejects (0) None." in page.section("gallery")
    assert "Most certain catches (3)" in page.section("gallery")
    assert page.section("gallery").index("score 1.15") < page.section("gallery").index("score 2.2")
    assert page.section("gallery").index("score 30") < page.section("gallery").index("score 8")
    (roc,) = [e.attributes["aria-label"] for e in page.elements if "ROC" in e.attributes.get("aria-label", "")]
    assert "0 % of good images are refused and 60 % of defective ones caught" in plain(roc)
    low, high = (plain(percent(end)) for end in stats.beta(2, 38).ppf([0.025, 0.975]))
    assert f"between {low} and {high}" in page.section("promise")


def test_review_counts_as_neither_missed_nor_caught(tmp_path: Path) -> None:
    calibration = calibrate(CALIBRATION_SCORES, 0.05, 0.5)
    assert calibration.review_threshold == pytest.approx(1.95)
    page = write(make_model(calibration), make_evaluation(tmp_path, calibration), tmp_path / "report.html")
    gallery = page.section("gallery")
    assert "Missed defects (1)" in gallery
    assert "Most certain catches (3)" in gallery
    assert "score 2.2" not in gallery
    assert "1 of them to review" in page.text
    assert "at most 50 % of good parts, those refused included" in page.section("promise")


def test_regions_are_outlined_where_they_are(tmp_path: Path, calibration: Calibration) -> None:
    evaluation = make_evaluation(tmp_path, calibration, size=(80, 1440))
    model = make_model(calibration)
    write_report(model, evaluation, tmp_path / "report.html", title="Bolts", method="gradient")
    assert model.method == "gradient"
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    images = [e for e in page.all("img") if "png" in e.attributes["alt"]]
    assert {(e.attributes["width"], e.attributes["height"]) for e in images} == {("20", "360")}
    boxes = page.all("rect", class_="box")
    assert len(boxes) == 5
    assert {tuple(boxes[0].attributes[side] for side in ("x", "y", "width", "height"))} == {
        ("0.0", "0.0", "5.0", "90.0")
    }
    assert "1 hot region" in images[1].attributes["alt"]
    assert "boxes surround what is hotter" in page.text


def test_names_from_outside_are_escaped(tmp_path: Path, calibration: Calibration) -> None:
    evaluation = make_evaluation(
        tmp_path / "test",
        calibration,
        defects={HOSTILE: [1.15, 40.0]},
        suffix=HOSTILE,
        failures=[Failure(HOSTILE, "</li><script>alert(3)</script>")],
    )
    closing = "</title></style><script>alert(4)</script>"
    page = write(make_model(calibration), evaluation, tmp_path / "r.html", title=HOSTILE + closing, credit=closing)
    assert not page.all("script")
    assert all(e.attributes["src"].startswith("data:image/") for e in page.all("img"))
    assert not any(name.startswith("on") for e in page.elements for name in e.attributes)
    assert page.text.count(plain(HOSTILE)) >= 5
    assert page.all("h1")[0].text == HOSTILE + closing
    assert "<script" not in page.source


def test_file_names_that_are_not_text_do_not_cost_the_report(tmp_path: Path, calibration: Calibration) -> None:
    evaluation = make_evaluation(tmp_path / "test", calibration, suffix="\udcff")
    page = write(make_model(calibration), evaluation, tmp_path / "report.html")
    assert "000\\udcff.png" in page.text


def test_uncalibrated_model_is_told_how_to_get_a_threshold(tmp_path: Path) -> None:
    model = make_model(None)
    model.scale_is_fixed = False
    page = write(model, make_evaluation(tmp_path, None), tmp_path / "report.html")
    assert [e.attributes["aria-labelledby"] for e in page.all("section")] == SECTIONS
    assert model.uncalibrated_reason in page.text
    assert "differnet calibrate" in page.section("promise")
    gallery = page.section("gallery")
    assert gallery.count("differnet calibrate") == 2
    assert "Highest-scoring defects (5)" in gallery
    assert "p-value" not in gallery
    assert "the hottest place of each image itself" in gallery
    assert not page.all("rect", class_="box")
    assert len(page.all("svg", focusable="false")) == 2
    assert "no threshold" in page.section("kinds")


def test_perfect_model_has_empty_lists(tmp_path: Path, calibration: Calibration) -> None:
    evaluation = make_evaluation(tmp_path, calibration, good=[1.0, 1.1], defects={"hole": [50.0]})
    page = write(make_model(calibration), evaluation, tmp_path / "report.html")
    gallery = page.section("gallery")
    assert "Missed defects (0) None." in gallery
    assert "False rejects (0) None." in gallery
    # One kind needs no row for all kinds.
    assert len(page.all("tr")) == 2


def test_images_that_went_away_are_named(tmp_path: Path, calibration: Calibration) -> None:
    evaluation = make_evaluation(tmp_path / "test", calibration)
    gone = next(e.image.path for e in evaluation.scored if e.verdict.score == 1.15)
    gone.unlink()
    page = write(make_model(calibration), evaluation, tmp_path / "report.html")
    assert f"Cannot be shown: {gone}: no such file" in page.section("gallery")
    assert "crack/000.png" in page.section("gallery")


def test_file_stays_small(tmp_path: Path, calibration: Calibration) -> None:
    # Noise compresses worst; six of each kind, though there are more.
    evaluation = make_evaluation(
        tmp_path / "test",
        calibration,
        good=[3.0 + i for i in range(8)],
        defects={"a": [1.0] * 8, "b": [1000.0] * 8},
        size=(400, 400),
        noise=True,
    )
    page = write(make_model(calibration), evaluation, tmp_path / "report.html")
    assert len(page.all("li", class_="card")) == 18
    assert page.text.count("The first 6 of 8 are shown.") == 3
    assert (tmp_path / "report.html").stat().st_size < 6_000_000


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_missing_extra_is_named_before_anything_is_done(
    missing: str, tmp_path: Path, calibration: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == missing else found(name, *rest)
    )
    with pytest.raises(MissingExtraError, match=rf"{missing}\. Run: .*install 'differnet\[report\]'"):
        write_report(make_model(calibration), make_evaluation(tmp_path, calibration), tmp_path / "r.html", title="x")
    assert not (tmp_path / "r.html").exists()


def test_misuse_is_refused(tmp_path: Path, calibration: Calibration) -> None:
    evaluation = make_evaluation(tmp_path, calibration)
    cases: list[tuple[DifferNet, Path, type[DifferNetError], str]] = [
        (make_model(None), tmp_path / "r.html", DatasetError, "evaluate"),
        (make_model(calibrate(CALIBRATION_SCORES, 0.1)), tmp_path / "r.html", DatasetError, "evaluate"),
        (DifferNet(device="cpu"), tmp_path / "r.html", NotFittedError, "fit"),
        (make_model(calibration), tmp_path / "no" / "r.html", OutputError, "folder"),
    ]
    for model, path, error, words in cases:
        with pytest.raises(error, match=words):
            write_report(model, evaluation, path, title="x")
        assert not path.exists()


def test_command_reports_on_a_real_model(model_file: Path, product: Path, tmp_path: Path) -> None:
    # Registered in differnet.cli.main like any other command; here alone.
    app = typer.Typer()
    app.command()(report_command)
    out = tmp_path / "report.html"
    done = CliRunner().invoke(app, [str(model_file), str(product), "-o", str(out), "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    page = Page(out.read_text(encoding="utf-8"))
    assert page.all("h1")[0].text == product.name
    assert f"{document['image_auroc']:.3f}" in page.text
    assert plain(percent(document["escape_rate"])) in page.text
    assert "Defects that escape" in page.text
