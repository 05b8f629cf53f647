"""Recipes: read with helpful errors, trained from, and kept in the model file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from differnet.errors import RecipeError
from differnet.model_file.bundle import read_manifest
from differnet.settings import Settings
from differnet.settings.recipe import read_recipe, recipe_template
from tests.cli.test_commands import run
from tests.conftest import SMALL


def written(folder: Path, text: str) -> Path:
    file = folder / "part.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_template_is_a_recipe_of_the_default_settings(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, recipe_template("a folder: with #signs")))
    assert recipe.settings() == Settings()
    assert recipe.images == tmp_path.resolve() / "a folder: with #signs"


def test_every_section_may_be_changed_and_paths_count_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(b"")
    text = "images: good\nregion: mask.png\nseed: 3\nviews: {kind: flips, count: 2}\ncalibration:\n  review_rate: 0.2\n"
    recipe = read_recipe(written(tmp_path, text))
    chosen = recipe.settings()
    assert (chosen.seed, chosen.views.kind, chosen.views.count, chosen.calibration.review_rate) == (3, "flips", 2, 0.2)
    assert recipe.region == str(tmp_path.resolve() / "mask.png")
    assert recipe.text == text
    assert read_recipe(written(tmp_path, "images: a\nregion: 1,2,30,40\n")).region == "1,2,30,40"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "recipe new"),
        ("- a\n- b\n", "recipe new"),
        ("seed: 1\n", "images.*Field required"),
        ("images: a\nviews:\n  kind: [\n", r"line \d.*indentation"),
        ("images: a\ncolour: red\n", r"line 2, colour.*the keys are images, good, region"),
        ("images: a\n\nseed: -1\n", r"line 3, seed"),
        ("images: a\nviews: wide\n", r"line 2, views"),
        ("images: a\nviews:\n  kind: none\n  sise: 3\n", r"line 4, views\.sise"),
        ("images: a\nflow:\n  blocks: 0\n", r"line 3, flow\.blocks"),
        ("images: a\npreset: papers\n", r"line 2, preset"),
        ("images: a\ntext: b\n", r"line 2, text"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=rf"part\.yaml.*{message}"):
        read_recipe(written(tmp_path, text))


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="check the path"):
        read_recipe(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(RecipeError, match="not a text file"):
        read_recipe(tmp_path / "binary.yaml")


def test_a_recipe_is_written_trained_from_and_kept_in_the_model(product: Path, tmp_path: Path) -> None:
    recipe, model = tmp_path / "part.yaml", tmp_path / "part.safetensors"
    told = run("recipe", "new", str(product), "-o", str(recipe), "--json", "-q")
    assert (json.loads(told.stdout), told.stderr) == ({"recipe": str(recipe), "images": 24}, "")
    assert "exists already" in run("recipe", "new", str(product), "-o", str(recipe), code=1).stderr
    fields = yaml.safe_load(recipe.read_text())
    for name, value in SMALL.items():
        section, _, key = name.partition(".")
        fields.setdefault(section, {})[key] = value
    recipe.write_text(yaml.safe_dump(fields))
    done = run("train", "--recipe", str(recipe), "-o", str(model), "--epochs", "1", "--json")
    assert json.loads(done.stdout)["images"] > 0
    manifest = read_manifest(model)
    assert manifest.recipe is not None
    assert manifest.recipe.startswith(recipe.read_text())
    assert "training.epochs=1" in manifest.recipe
    assert manifest.settings.flow.hidden == SMALL["flow.hidden"]
    assert run("recipe", "show", str(model)).stdout == manifest.recipe
    assert run("recipe", "show", str(recipe)).stdout == recipe.read_text()
    shown = json.loads(run("recipe", "show", str(recipe), "--json").stdout)
    assert shown == {"recipe": str(recipe), "text": recipe.read_text()}


def test_a_recipe_and_a_preset_contradict_each_other(tmp_path: Path) -> None:
    recipe = written(tmp_path, "images: a\n")
    assert "recipe" in run("train", "--recipe", str(recipe), "--preset", "paper", "-o", "m.safetensors", code=2).stderr
    assert "--recipe" in run("train", "-o", "m.safetensors", code=2).stderr


@pytest.mark.parametrize(
    "value",
    ['!!int "x"', '!!float "a"', "!!timestamp x", "!!bool x", "9" * 5000, "[" * 2000 + "]" * 2000],
)
def test_values_made_to_break_their_reader_are_refused(tmp_path: Path, value: str) -> None:
    for key in ("seed", "region"):
        (tmp_path / "r.yaml").write_text(f"images: good\n{key}: {value}\n")
        with pytest.raises(RecipeError, match=r"r\.yaml"):
            read_recipe(tmp_path / "r.yaml")
