"""The report is one safe, self-contained page; it says what the numbers say, also where there is little to say."""

from __future__ import annotations

import importlib.util
import json
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from scipy import stats
from sklearn.metrics import auc, roc_auc_score
from typer.testing import CliRunner

from differnet import DifferNet
from differnet.calibration import Calibration, Source, calibrate
from differnet.cli.commands.report import report as report_command
from differnet.errors import DatasetError, DifferNetError, MissingExtraError, NotFittedError, OutputError
from differnet.evaluation import average_precision, image_auroc
from differnet.evaluation.evaluate import DefectMetrics, Evaluation, ScoredImage
from differnet.evaluation.metrics import Estimate
from differnet.evaluation.pixel_metrics import PixelResult
from differnet.evaluation.rates import error_rates
from differnet.images import GOOD, ImageSource, LabelledImage, load_image
from differnet.images.failure import Failure
from differnet.inspection.explanation import Explanation
from differnet.inspection.verdict import give_verdict
from differnet.localization.localizer import HeatMethod
from differnet.localization.regions import find_regions
from differnet.model_file.manifest import Manifest, TrainingRecord
from differnet.report import write_report
from differnet.report.content import describe_promise, describe_rates, percent
from differnet.report.curves import calibration_curve, promised_range, roc_curve
from differnet.report.figures import draw_calibration, draw_roc, draw_scores
from differnet.settings import preset

MODEL_ID = "0123456789ab"
SECTIONS = ["telling", "kinds", "promise", "gallery", "model"]
GOOD_SCORES = [0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 2.6]
DEFECTS = {"crack": [1.15, 2.9, 30.0], "spot": [2.2, 8.0]}
# Of 39 scores from 1 to 2.9, the second highest is the threshold for 5 %.
CALIBRATION_SCORES = np.linspace(1.0, 2.9, 39)
# Of these characters a file name may have any.
HOSTILE = "\"><script>alert(1)<!-- <img src=x onerror='alert(2)'> &amp; {{ 7 * 7 }}"


class StubModel(DifferNet):
    """A model that has learnt nothing, with heat maps that are hot in one corner."""

    scale_is_fixed = True
    method: HeatMethod | None = None

    def explain_stream(
        self, images: Iterable[ImageSource], method: HeatMethod | None = None
    ) -> Iterator[Explanation | Failure]:
        self.method = method
        for path in images:
            assert isinstance(path, Path)
            if not path.exists():
                yield Failure(str(path), f"{path}: no such file; check the path.")
                continue
            height, width = load_image(path).shape[:2]
            heat = np.zeros((height, width), np.float32)
            heat[: height // 4, : width // 4] = 1.5
            verdict = give_verdict(
                1.0, self.calibration, source=str(path), width=width, height=height, model_id=MODEL_ID, milliseconds=1.0
            )
            yield Explanation(
                verdict, heat, tuple(find_regions(heat)) if self.scale_is_fixed else (), self.scale_is_fixed
            )


def make_model(calibration: Calibration | None, source: Source = "held-out") -> StubModel:
    model = StubModel(preset("default"), device="cpu")
    model.calibration = calibration
    model.held_out_scores = torch.tensor(CALIBRATION_SCORES, dtype=torch.float32)
    model.manifest = Manifest(
        package_version="0.1.0",
        created=datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc),
        settings=model.settings,
        features=768,
        extractor_sha256="ab" * 32,
        model_id=MODEL_ID,
        training=TrainingRecord(
            origin="trained",
            images=160,
            held_out_images=39,
            data_sha256="cd" * 32,
            epochs=20,
            kept_epoch=17,
            seconds=75.0,
        ),
        calibration=None if calibration is None else calibration.record(source),
    )
    return model


def make_evaluation(
    folder: Path,
    calibration: Calibration | None,
    good: Sequence[float] = GOOD_SCORES,
    defects: dict[str, list[float]] | None = None,
    *,
    suffix: str = "",
    size: tuple[int, int] = (40, 30),
    noise: bool = False,
    failures: Sequence[Failure] = (),
    pixels: PixelResult | None = None,
    good_without_region: Estimate | None = None,
) -> Evaluation:
    """Images in ``folder`` named by their score, and what an evaluation says of them."""
    defects = DEFECTS if defects is None else defects
    rng = np.random.default_rng(0)
    scored = []
    for kind, scores in {GOOD: good, **defects}.items():
        place = folder / kind.replace("/", "_")
        place.mkdir(parents=True, exist_ok=True)
        for i, score in enumerate(scores):
            path = place / f"{i:03}{suffix}.png"
            width, height = size
            grey = np.full((height, width, 3), 90 + i)
            photograph = rng.integers(0, 256, grey.shape) if noise else grey
            Image.fromarray(photograph.astype(np.uint8)).save(path)
            verdict = give_verdict(
                score,
                calibration,
                source=str(path),
                width=width,
                height=height,
                model_id=MODEL_ID,
                milliseconds=20.0 + i,
            )
            scored.append(ScoredImage(LabelledImage(path, kind), verdict))
    every = [score for scores in defects.values() for score in scores]

    def metrics(scores: Sequence[float]) -> DefectMetrics:
        return DefectMetrics(len(scores), image_auroc(good, scores), average_precision(good, scores))

    return Evaluation(
        overall=metrics(every),
        per_defect={kind: metrics(scores) for kind, scores in defects.items()},
        good_images=len(good),
        scored=scored,
        failures=list(failures),
        seconds=1.0,
        rates=None if calibration is None else error_rates(good, every, calibration.threshold),
        good_without_region=good_without_region,
        pixels=pixels,
    )


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """The elements of a page, each with the text within it; raises where tags do not match."""

    source: str
    elements: list[Element] = field(default_factory=list)

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[Element] = []
        self.feed(self.source)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [e for e in self.elements if e.tag == tag and wanted.items() <= e.attributes.items()]

    def section(self, name: str) -> str:
        (element,) = self.all("section", **{"aria-labelledby": name})
        return plain(element.text)

    @property
    def text(self) -> str:
        (body,) = self.all("body")
        return plain(body.text)


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def calibration() -> Calibration:
    return calibrate(CALIBRATION_SCORES, 0.05)


def write(model: DifferNet, evaluation: Evaluation, path: Path, title: str = "Bolts", credit: str = "") -> Page:
    write_report(model, evaluation, path, title=title, credit=credit)
    return Page(path.read_text(encoding="utf-8"))


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
    with pytest.raises(MissingExtraError, match=rf"{missing}\. Run: pip install 'differnet\[report\]'"):
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


def test_roc_curve_passes_through_the_operating_point() -> None:
    rng = np.random.default_rng(0)
    good, defective = rng.integers(0, 12, 40).astype(float), rng.integers(4, 20, 30).astype(float)
    curve = roc_curve(good, defective)
    area = auc(curve.false_reject, curve.caught)
    assert area == pytest.approx(roc_auc_score([0] * 40 + [1] * 30, [*good, *defective]))
    assert (curve.false_reject[0], curve.caught[0], curve.false_reject[-1], curve.caught[-1]) == (0, 0, 1, 1)
    points = set(zip(curve.false_reject, curve.caught, strict=True))
    for threshold in (3.0, 7.5, 11.0, 30.0):
        rates = error_rates(good, defective, threshold)
        x, y = rates.false_reject.value, 1 - rates.escape.value
        assert any(x == pytest.approx(a) and y == pytest.approx(b) for a, b in points)


def test_calibration_curve_is_what_thresholds_for_each_rate_give() -> None:
    rng = np.random.default_rng(1)
    scores, good = rng.lognormal(size=30), rng.lognormal(size=50)
    for calibration in (calibrate(scores, 0.1), calibrate(scores, 0.01, tail="generalized-pareto")):
        curve = calibration_curve(calibration, good)
        assert len(curve.stated) == 15
        for stated, observed in zip(curve.stated, curve.observed, strict=True):
            assert observed == pytest.approx((good > calibrate(scores, stated).threshold).mean())
        assert (curve.low <= curve.stated).all()
        assert (curve.high >= curve.stated).all()
    assert len(calibration_curve(calibrate(rng.lognormal(size=5000), 0.1), good).stated) == 200
    assert calibration_curve(calibrate([1.0], 0.9), good).stated.tolist() == [0.5]


def test_promised_range_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    images, good_images, step = 30, 60, 3
    low, high = promised_range(step, images, good_images)
    thresholds = np.sort(rng.random((4000, images)), axis=1)[:, images - step]
    observed = (rng.random((4000, good_images)) > thresholds[:, None]).mean(axis=1)
    inside = ((observed >= low - 1e-9) & (observed <= high + 1e-9)).mean()
    assert 0.94 < inside < 0.985


def test_words_follow_the_numbers(tmp_path: Path, calibration: Calibration) -> None:
    def outcome(refused: int, of: int, chosen: Calibration) -> str:
        good = [1.0] * (of - refused) + [100.0] * refused
        return plain(describe_rates(make_evaluation(tmp_path, chosen, good, {"hole": [200.0]}), chosen))

    assert "2 are refused (5 %; 0.6 to 16.9 %)" in outcome(2, 40, calibration)
    assert "the two agree" in outcome(2, 40, calibration)
    assert "1 is refused" in outcome(1, 40, calibration)
    assert "differnet calibrate" in outcome(20, 40, calibration)
    wide = calibrate(np.linspace(1.0, 2.9, 999), 0.4)
    assert "fewer than the promise explains" in outcome(0, 40, wide)
    tail = calibrate(np.random.default_rng(0).lognormal(size=25), 0.01, tail="generalized-pareto")
    assert outcome(0, 40, tail).endswith("which agrees with the stated rate.")
    assert "does not agree" in outcome(20, 40, tail)

    assert "extrapolated" in " ".join(describe_promise(tail, "images"))
    held_out, crossed = (" ".join(describe_promise(calibration, source)) for source in ("held-out", "cross-fitted"))
    assert "between" in held_out
    assert "between" not in crossed
    assert "not known exactly" in crossed
    assert [plain(percent(share)) for share in (0.0, 0.0004, 0.05, 0.3333, 1.0)] == [
        "0 %", "0.04 %", "5 %", "33.3 %", "100 %",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("good", "defective", "logarithmic", "cut"),
    [
        ([1.0, 2.0], [3.0], False, False),
        ([1.0, 2.0], [90.0], True, False),
        ([1.0, 2.0], [1e12], True, True),
        ([-5.0, 2.0], [1e5], False, False),
        ([1.0], [1.0], False, False),
    ],
)
def test_score_axis_suits_the_scores(good: list[float], defective: list[float], logarithmic: bool, cut: bool) -> None:
    svg = draw_scores(np.array(good), np.array(defective), np.empty(0), None)
    texts = [
        "".join(element.itertext()).strip() for element in ElementTree.fromstring(svg).iter() if "text" in element.tag
    ]
    assert ("10" in texts and "1" in texts) == logarithmic
    assert ("last bar: 1000 and more" in texts) == cut
    assert "good, not trained on (0)" not in texts


def test_figures_take_their_colours_from_the_page_and_leave_matplotlib_alone(calibration: Calibration) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    good, defective = np.array(GOOD_SCORES), np.array([3.0, 9.0])
    rates = error_rates(good, defective, calibration.threshold)
    figures = [
        draw_roc(roc_curve(good, defective), rates),
        draw_scores(good, defective, CALIBRATION_SCORES, calibration),
        draw_calibration(calibration_curve(calibration, good), 0.05, rates),
    ]
    assert dict(mpl.rcParams) == before
    for svg in figures:
        ElementTree.fromstring(svg)
        assert "currentColor" in svg
        assert not re.search(r"#0[0-9]0[0-9]0[0-9]\b", svg)
        assert "<style" not in svg
        assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", svg)
    assert "good, not trained on (39)" in figures[1]
    assert draw_roc(roc_curve(good, defective), rates) == figures[0]


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
