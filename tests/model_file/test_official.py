"""Taking over models of the authors' code: their scores and features, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from differnet import DifferNet
from differnet.errors import ModelFileError
from differnet.model_file.official import read_official_flow
from differnet.views import fixed_views


@pytest.fixture(scope="module")
def official_model(official_state_file: Path) -> DifferNet:
    return DifferNet.import_official(official_state_file, views=8, device="cpu")


def test_scores_are_the_official_ones(
    official_model: DifferNet, official_image: Path, official_outputs: dict[str, torch.Tensor]
) -> None:
    score = official_model.score(official_image)
    assert score.tolist() == pytest.approx(official_outputs["image0_score"].tolist(), rel=1e-3)


def test_view_features_are_the_official_ones(
    official_model: DifferNet, official_image: Path, official_outputs: dict[str, torch.Tensor]
) -> None:
    views = fixed_views(official_model.settings.views)
    assert [view.degrees for view in views] == official_outputs["image0_degrees"].tolist()
    result = next(official_model.extraction.stream([official_image], views))
    expected = official_outputs["image0_view_features"]
    assert isinstance(features := getattr(result, "features", None), torch.Tensor)
    assert ((features - expected).norm(dim=1) / expected.norm(dim=1)).max() < 1e-3


def test_the_width_is_inferred(official_state_file: Path) -> None:
    state, shape = read_official_flow(official_state_file)
    assert (shape.features, shape.blocks, shape.hidden) == (768, 8, 32)
    assert len(state) == 8 * 2 * 4 * 2


def test_an_imported_model_is_saved_and_loaded(official_model: DifferNet, official_image: Path, tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    official_model.save(file)
    loaded = DifferNet.load(file, device="cpu")
    assert loaded.score(official_image).tolist() == official_model.score(official_image).tolist()
    assert loaded.manifest is not None
    assert loaded.manifest.training.origin == "official"


def save(tmp_path: Path, content: object) -> Path:
    file = tmp_path / "w.pt"
    torch.save(content, file)
    return file


def test_what_is_not_an_official_state_dict_is_refused(official_state_file: Path, tmp_path: Path) -> None:
    state = torch.load(official_state_file, weights_only=True)
    incomplete = {name: tensor for name, tensor in state.items() if name != "nf.module_list.2.s1.fc1.weight"}
    wrong_shape = state | {"nf.module_list.4.s1.fc3.bias": torch.zeros(3)}
    for content in ({}, {"a": torch.zeros(1)}, [1, 2], incomplete, wrong_shape):
        with pytest.raises(ModelFileError, match=r"w\.pt"):
            read_official_flow(save(tmp_path, content))


def test_a_whole_pickled_model_is_refused_and_not_executed(tmp_path: Path) -> None:
    witness = tmp_path / "executed"

    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(witness),)

    with pytest.raises(ModelFileError, match="state_dict"):
        read_official_flow(save(tmp_path, Malicious()))
    assert not witness.exists()


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    with pytest.raises(ModelFileError, match="no such file"):
        read_official_flow(file)
    file.write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(ModelFileError, match=r"w\.pt"):
        read_official_flow(file)
