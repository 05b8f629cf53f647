"""Recipes: a YAML file for each product that says what to learn from and how, so that a model can be made again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from differnet.errors import RecipeError, SettingsError
from differnet.files.yaml_text import load_yaml
from differnet.frozen_record import FrozenRecord
from differnet.settings.presets import preset
from differnet.settings.settings import Settings

__all__ = ["Recipe", "read_recipe", "recipe_template"]

_SECTIONS = ("views", "extractor", "flow", "training", "scoring", "localization", "calibration")


class Recipe(FrozenRecord):
    """How a product's model is made.

    Attributes:
        images: Product folder, plain folder of good images, table or list file; absolute once read.
        good: Where in the folder of images good parts are, folders or patterns; empty for what its layout says.
        region: Region of interest: a box ``x,y,width,height`` in pixels, or a mask image; None for whole images.
        preset: What the settings start from.
        seed: Of everything random.
        views: Changes to `ViewSettings`, as all below to their sections.
        extractor: Changes to `ExtractorSettings`.
        flow: Changes to `FlowSettings`.
        training: Changes to `TrainingSettings`.
        scoring: Changes to `ScoringSettings`.
        localization: Changes to `LocalizationSettings`.
        calibration: Changes to `CalibrationSettings`: the rates, for example.
        text: The file as it was.
    """

    images: Path
    good: tuple[str, ...] = ()
    region: str | None = None
    preset: Literal["default", "fast", "paper"] = "default"
    seed: int = Field(0, ge=0, lt=2**32)
    views: dict[str, Any] = Field(default_factory=dict)
    extractor: dict[str, Any] = Field(default_factory=dict)
    flow: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    scoring: dict[str, Any] = Field(default_factory=dict)
    localization: dict[str, Any] = Field(default_factory=dict)
    calibration: dict[str, Any] = Field(default_factory=dict)
    text: str = Field("", exclude=True)

    def overrides(self) -> dict[str, Any]:
        """The changes to the preset under dotted names."""
        changes = {
            f"{section}.{name}": value for section in _SECTIONS for name, value in getattr(self, section).items()
        }
        return {**changes, "seed": self.seed}

    def text_with(self, changes: Mapping[str, Any]) -> str:
        """The text, with what was changed beside it as comments."""
        return self.text + "".join(
            f"# Changed on the command line: --set {name}={value}\n" for name, value in changes.items()
        )

    def settings(self) -> Settings:
        """All settings.

        Raises:
            SettingsError: If a name does not exist or a value is not allowed.
        """
        return preset(self.preset).with_overrides(self.overrides())


def read_recipe(path: str | os.PathLike[str], check: Callable[[Settings], None] | None = None) -> Recipe:
    """Read and check a recipe. Paths in it count from its own folder.

    Args:
        path: The file.
        check: Raises SettingsError for settings that only floors above this one know to be wrong, such as
            `differnet.extractors.check_settings`.

    Raises:
        RecipeError: If it cannot be read, or a key or value is wrong; the message names the line and the key.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror}); check the path of the recipe.") from None
    except UnicodeDecodeError:
        raise RecipeError(
            f"{path}: is not a text file; give a recipe, such as 'differnet recipe new' writes."
        ) from None
    fields, node = load_yaml(text, path, RecipeError), yaml.compose(text, yaml.SafeLoader)
    if not isinstance(fields, dict):
        raise RecipeError(f"{path}: has no keys; 'differnet recipe new PRODUCT' writes one to start from.")
    lines = dict(_lines(node))
    # A section without keys, all of them commented out, is no section.
    fields = {str(name): value for name, value in fields.items() if value is not None or name not in _SECTIONS}
    if "text" in fields:
        raise RecipeError(f"{path}{_at(lines, 'text')}: there is no such key; remove it.")
    try:
        recipe = Recipe.model_validate({**fields, "text": text})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        known = f"; the keys are {', '.join(name for name in Recipe.model_fields if name != 'text')}"
        advice = known if first["type"] == "extra_forbidden" else ""
        raise RecipeError(f"{path}{_at(lines, key)}: {first['msg']}{advice}.") from None
    try:
        settings = recipe.settings()
        if check is not None:
            check(settings)
    except SettingsError as error:
        # The first that is mentioned: a message about a wrong name lists the right ones after it.
        mentioned = [name for name in recipe.overrides() if name in str(error)]
        named = min(mentioned, key=str(error).index, default="")
        raise RecipeError(f"{path}{_at(lines, named)}: {error}") from None
    try:
        paths = {"images": _absolute(file, recipe.images), "region": _region(file, recipe.region)}
    except (OSError, ValueError):  # too long, or with characters that no path has
        raise RecipeError(f"{path}: has a path that cannot be used; look at 'images' and 'region'.") from None
    return recipe.model_copy(update=paths)


def recipe_template(images: str | os.PathLike[str]) -> str:
    """The text of a recipe to start from, with every line that may be changed explained."""
    return _TEMPLATE.format(images=yaml.safe_dump(str(images), default_style='"', width=10_000).strip())


def _absolute(recipe: Path, images: Path) -> Path:
    return (recipe.parent / images).resolve()


def _region(recipe: Path, region: str | None) -> str | None:
    if region is None or not (recipe.parent / region).is_file():
        return region
    return str((recipe.parent / region).resolve())


def _at(lines: Mapping[str, int], key: str) -> str:
    """The line of a key, or of the nearest one that it lies under, and its name."""
    place = key
    while place and place not in lines:
        place = place.rpartition(".")[0]
    where = f", line {lines[place]}" if place else ""
    return f"{where}, {key}" if key else where


def _lines(node: yaml.Node | None, prefix: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            yield name, key.start_mark.line + 1
            yield from _lines(value, f"{name}.")


_TEMPLATE = """\
# A recipe: what differnet learns for one product, and how.
#   differnet train --recipe THIS_FILE -o MODEL.safetensors
# Paths count from the folder of this file. Lines that begin with # show what could be set.

# Images of good parts: a folder with train/good in it, a plain folder, or a list file.
images: {images}

# Where in it good parts are, if it does not say so itself.
# good: ["cam1/ok", "cam2/ok"]

# Where to look: a box x,y,width,height in pixels, or a mask image (white counts).
# region: 120,80,640,480

# default; fast, at one size, for parts that hardly vary; or paper, the settings of the authors.
preset: default

# Of everything random.
seed: 0

views:
  # Side that images are resized to at most, in pixels; none is enlarged. Small defects need more.
  size: 640
  # auto: right angles where good parts lie at any angle, else none; or flips, right-angles, symmetries, rotations.
  kind: auto

calibration:
  # Share of good parts that may be refused, and that may be refused or looked at again.
  false_reject_rate: 0.05
  # review_rate: 0.10

# extractor:
#   name: efficientnet-lite0
# flow:
#   hidden: 64
# training:
#   epochs: 40
# scoring:
#   hottest: 0.03
# localization:
#   cells: 2000
"""
