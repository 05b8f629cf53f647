"""What holds for every method of localization, two toys among them that are registered as anybody's own would be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet import DifferNet, Settings
from differnet.errors import SettingsError
from differnet.extractors import Extractor, build_extractor, find_weights
from differnet.features import FeatureExtraction
from differnet.features.describer import Cells, Describer
from differnet.features.openvino_features import CompiledFeatures
from differnet.flow import NormalizingFlow
from differnet.images import RegionOfInterest
from differnet.localization.cell_method import CellMethod
from differnet.localization.local_model import LocalModel
from differnet.localization.localizer import Localizer
from differnet.localization.method import LocalizationMethod, MapSources
from differnet.localization.registry import build_method, exportable_methods
from differnet.settings import LocalizationSettings
from differnet.settings.localization_methods import LOCALIZATION_METHODS, MethodEntry
from differnet.views import View, resize
from tests.conftest import plate

SIZE, IMAGES = 96, 6
VIEWS = (View(), View(degrees=90.0))


class Darkness(LocalizationMethod):
    """The darker a pixel, the more anomalous."""

    name, resolution = "darkness", 1

    def raw_map(self, pixels: NDArray[np.uint8], sources: MapSources, anomaly: Tensor | None) -> NDArray[np.float32]:
        return 255.0 - pixels.mean(axis=2, dtype=np.float32)

    def positive(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(raw + 1.0, np.float32)


@dataclass(frozen=True)
class StageMaps(Cells):
    values: Tensor


class LastStage(Describer):
    cells = StageMaps
    key = "last stage"

    def describe(self, stages: Sequence[Tensor], size: int) -> list[StageMaps]:
        return [StageMaps(maps.float()) for maps in stages[-1].mean(1)]


class Usual(LocalModel):
    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        self.mean, self.deviation = mean, deviation

    def anomaly(self, cells: StageMaps) -> Tensor:
        return ((cells.values - self.mean) / self.deviation).abs()

    def state(self) -> dict[str, Tensor]:
        return {"mean": self.mean, "deviation": self.deviation}

    def to(self, device: torch.device) -> Usual:
        return Usual(self.mean.to(device), self.deviation.to(device))


class UsualCollector:
    def __init__(self) -> None:
        self._values: dict[int, Tensor] = {}

    def add(self, place: int, cells: StageMaps) -> None:
        self._values[place] = cells.values.cpu()

    def fit(self, without: Collection[int] = ()) -> Usual:
        values = torch.stack([values for place, values in self._values.items() if place not in without])
        return Usual(values.mean(), values.std() + 1e-6)


class OneGaussian(CellMethod):
    name, resolution = "one-gaussian", 16

    def describer(self, extractor: Extractor) -> LastStage:
        return LastStage()

    def collector(self, extractor: Extractor, images: int, seed: int) -> UsualCollector:
        return UsualCollector()

    def restore(self, state: Mapping[str, Tensor]) -> Usual:
        return Usual(state["mean"], state["deviation"])


TOYS = {
    "darkness": MethodEntry(Darkness, scores_images=False),
    "one-gaussian": MethodEntry(OneGaussian, scores_images=True),
}
METHODS = [*LOCALIZATION_METHODS, *TOYS]


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    LOCALIZATION_METHODS.update(TOYS)
    yield
    for name in TOYS:
        del LOCALIZATION_METHODS[name]


@pytest.fixture(scope="module")
def extraction() -> FeatureExtraction:
    network = build_extractor("efficientnet-lite0", find_weights("efficientnet-lite0"))
    return FeatureExtraction(network, size=SIZE, scales=1, engine="torch")


class Case(NamedTuple):
    """A method with all that it may need."""

    method: LocalizationMethod
    local: LocalModel | None
    localizer: Localizer

    def raw(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.localizer.raw_map(pixels, self.method.name)


def pixels_of(seed: int) -> NDArray[np.uint8]:
    return resize(plate(np.random.default_rng(seed)), SIZE)


def fitted_to(method: LocalizationMethod, extraction: FeatureExtraction, places: Sequence[int]) -> LocalModel | None:
    return _collected(method, extraction, places, ())


def _collected(
    method: LocalizationMethod, extraction: FeatureExtraction, places: Sequence[int], without: Collection[int]
) -> LocalModel | None:
    describer, collector = (
        method.describer(extraction.extractor),
        method.collector(extraction.extractor, IMAGES, seed=0),
    )
    if describer is None or collector is None:
        return None
    for place in places:
        collector.add(place, extraction.describe(pixels_of(place), describer))
    return collector.fit(without)


def localizer_of(
    name: str, extraction: FeatureExtraction, local: LocalModel | None, region: RegionOfInterest | None = None
) -> Localizer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        flow = NormalizingFlow(extraction.features, blocks=2, hidden=16).eval()
    return Localizer(extraction, VIEWS, settings_of(name), flow=flow, local=local, region=region)


def settings_of(name: str) -> LocalizationSettings:
    return LocalizationSettings(method=name, cells=100, dimensions=32)


@pytest.fixture(params=METHODS)
def case(request: pytest.FixtureRequest, extraction: FeatureExtraction) -> Case:
    method = build_method(settings_of(request.param))
    local = fitted_to(method, extraction, range(IMAGES))
    return Case(method, local, localizer_of(request.param, extraction, local))


def test_a_method_is_what_its_line_in_the_registry_says(case: Case, extraction: FeatureExtraction) -> None:
    entry = LOCALIZATION_METHODS[case.method.name]
    describer, collector = (
        case.method.describer(extraction.extractor),
        case.method.collector(extraction.extractor, IMAGES, seed=0),
    )
    assert entry.scores_images is (describer is not None) is (collector is not None) is (case.local is not None)
    assert case.localizer.needs_cells(case.method.name) is entry.scores_images


def test_a_map_is_a_square_of_float32_and_the_same_every_time(case: Case) -> None:
    raw = case.raw(pixels_of(50))
    assert raw.dtype == np.float32
    assert raw.shape == (raw.shape[0], raw.shape[0])
    assert np.isfinite(raw).all()
    assert raw.std() > 0
    assert np.array_equal(case.raw(pixels_of(50)), raw)


def test_what_is_shown_is_positive_and_rises_with_the_raw_value(case: Case) -> None:
    raw = case.raw(pixels_of(50))
    shown = case.method.positive(np.linspace(raw.min(), raw.max(), 64, dtype=np.float32))
    assert shown.dtype == np.float32
    assert (shown > 0).all()
    assert (np.diff(shown) > 0).all()


def test_a_model_of_its_state_gives_the_same_map(case: Case, extraction: FeatureExtraction) -> None:
    state = {} if case.local is None else {name: tensor.clone() for name, tensor in case.local.state().items()}
    restored = case.method.restore(state)
    assert (restored is None) is (case.local is None)
    localizer = localizer_of(case.method.name, extraction, restored)
    assert np.array_equal(localizer.raw_map(pixels_of(50), case.method.name), case.raw(pixels_of(50)))


def test_the_same_images_give_the_same_model(case: Case, extraction: FeatureExtraction) -> None:
    again = fitted_to(case.method, extraction, range(IMAGES))
    assert same(case.local, again)


def test_a_fit_without_images_judges_them_as_new_ones(case: Case, extraction: FeatureExtraction) -> None:
    without = _collected(case.method, extraction, range(IMAGES), {1, 4})
    describer = case.localizer.describer
    if without is None or case.local is None or describer is None:
        assert without is case.local
        return
    # The others' are what they were, nearly; cells that the model no longer knows are farther off.
    changes = []
    for places in ((1, 4), (0, 2, 3, 5)):
        cells = [extraction.describe(pixels_of(place), describer) for place in places]
        changes.append(float(np.mean([(without.anomaly(of) - case.local.anomaly(of)).mean().item() for of in cells])))
    assert changes[0] > max(changes[1], 0.0)


def same(one: LocalModel | None, other: LocalModel | None) -> bool:
    if one is None or other is None:
        return one is other
    mine, theirs = one.state(), other.state()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_cells_are_moved_by_name_and_do_not_depend_on_the_images_beside_them(
    case: Case, extraction: FeatureExtraction
) -> None:
    describer = case.localizer.describer
    if describer is None:
        return
    pixels = torch.cat([extraction.network.as_tensor(pixels_of(seed)) for seed in (50, 51)])
    together = describer.describe(extraction.extractor.forward_stages(pixels), SIZE)
    for seed, cells in zip((50, 51), together, strict=True):
        assert type(cells) is describer.cells
        alone = extraction.describe(pixels_of(seed), describer).tensors()
        again = type(cells)(**cells.tensors()).to(torch.device("cpu")).tensors()
        for name, tensor in cells.tensors().items():
            assert torch.equal(again[name], tensor)
            assert torch.allclose(alone[name], tensor, rtol=1e-4, atol=1e-4)


def test_the_compiled_ways_agree_with_torch(case: Case, extraction: FeatureExtraction) -> None:
    describer, local = case.localizer.describer, case.local
    if describer is None or local is None:
        return
    expected = extraction.describe(pixels_of(50), describer)
    assert type(expected) is describer.made
    found: set[str] = set()
    for each in (describer, describer.reduced):
        if each is not None:
            compiled = CompiledFeatures(extraction.extractor, SIZE, (-1,), deviation=False, describer=each)
            [cells] = compiled([pixels_of(50)])[1]
            found |= cells.tensors().keys()
            for name, tensor in cells.tensors().items():
                assert torch.allclose(expected.tensors()[name], tensor, rtol=1e-3, atol=1e-4)
    assert found == expected.tensors().keys()
    anomaly = (local.compile(expected) or local.anomaly)(expected)
    assert torch.allclose(anomaly, local.anomaly(expected), rtol=1e-3, atol=1e-3)


def test_heat_is_zero_outside_the_region_of_interest_and_positive_inside(
    case: Case, extraction: FeatureExtraction
) -> None:
    region = RegionOfInterest.from_box((16, 32, 64, 48), (96, 96))
    within = localizer_of(case.method.name, extraction, case.local, region)
    heat = within.heat(within.raw_map(pixels_of(50), case.method.name), case.method.name, 1.0, 96, 96)
    assert heat.dtype == np.float32
    assert (heat[region.mask] > 0).all()
    assert (heat[~region.mask] == 0).all()
    share = case.method.resolution**2 / SIZE**2
    assert within.smallest_region(case.method.name, 96, 96) == max(1, round(64 * 48 * share))
    assert case.localizer.smallest_region(case.method.name, 96, 96) == max(1, round(96 * 96 * share))


@pytest.mark.parametrize("scale", [None, 2.5])
def test_the_exported_map_is_the_map(case: Case, scale: float | None) -> None:
    assert case.method.can_export is (case.method.name in exportable_methods())
    if not case.method.can_export:
        with pytest.raises(NotImplementedError):
            case.method.heat_graph(6, SIZE, scale, None)
        return
    anomaly, raw = case.localizer.anomaly_of(pixels_of(50)), case.raw(pixels_of(50))
    graph = case.method.heat_graph(anomaly.shape[-1], SIZE, scale, None)
    found = graph(anomaly, torch.zeros(80, 120, 3, dtype=torch.uint8)).numpy()
    shown = case.localizer.peak(raw) if scale is None else scale
    assert np.allclose(found, case.localizer.heat(raw, case.method.name, shown, 120, 80), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", TOYS)
def test_a_method_of_ones_own_is_trained_scored_explained_saved_and_loaded(
    name: str, product: Path, small_settings: Settings, tmp_path: Path
) -> None:
    joined = LOCALIZATION_METHODS[name].scores_images
    settings = small_settings.with_overrides(
        {
            "localization.method": name,
            "scoring.local": joined,
            "training.epochs": 1,
            "calibration.method": "cross-fitted",
        }
    )
    settings = settings.with_overrides({"calibration.folds": 3})
    part = sorted((product / "test" / "blot").iterdir())[0]
    model = DifferNet(settings, device="cpu", cache=tmp_path / "cache").fit(product)
    model.save(tmp_path / "model.safetensors")
    loaded = DifferNet.load(tmp_path / "model.safetensors", device="cpu")
    assert loaded.score(part) == model.score(part)
    heat = model.explain(part)
    assert heat.shape == (96, 96)
    assert np.array_equal(loaded.explain(part), heat)
    # From the cache, its cells too.
    again = DifferNet(settings, device="cpu", cache=tmp_path / "cache").fit(product)
    assert again.score(part) == model.score(part)


def test_a_name_that_is_not_registered_is_refused_with_the_choices(extraction: FeatureExtraction) -> None:
    with pytest.raises(SettingsError, match="'warmth'; choose one of mixture, neighbours, gradient"):
        build_method(LocalizationSettings(), "warmth")
    with pytest.raises(
        SettingsError, match=r"localization\.method: Input should be 'mixture', 'neighbours', 'gradient'"
    ):
        Settings().with_overrides({"localization.method": "warmth"})
    with pytest.raises(SettingsError, match="choose one of"):
        localizer_of("gradient", extraction, None).raw_map(pixels_of(0), "warmth")


def test_a_method_that_does_not_score_images_cannot_be_joined() -> None:
    with pytest.raises(SettingsError, match=r"localization\.method=mixture or neighbours or one-gaussian"):
        Settings().with_overrides({"localization.method": "darkness"})
