"""What jobs do by themselves, within their own process: train, and compare versions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from differnet.detector import DifferNet
from differnet.errors import DifferNetError, ResumeError
from differnet.files import replacing_for_good
from differnet.images import read_region
from differnet.images.failure import Failure
from differnet.inspection.verdict import Verdict
from differnet.model_file.manifest import Suspect
from differnet.server.products.worker import Teller, write_result
from differnet.server.wire.answers import calibration_card
from differnet.server.wire.pictures import explanation_pair
from differnet.settings import preset
from differnet.training.state import TrainingState

__all__ = ["MODEL", "STATE", "TASKS"]

MODEL, STATE = "model.safetensors", "training.state"
_STATE_SECONDS = 5.0
_SUSPICIOUS = "suspicious pictures"
_MOST_MAPS = 12
# Heat maps of suspicious pictures are of a scale by which one good picture in five has a hot region.
_LEARNT_FOR_MAPS, _RATE_FOR_MAPS = 200, 0.2
_MOST_DIFFERENT = 40
_TRAINING = {
    "features": (0.02, 0.4),
    "held-out features": (0.02, 0.1),
    "training": (0.4, 0.6),
    "cells": (0.6, 0.75),
    "heat maps": (0.6, 0.93),
    "comparing": (0.6, 0.93),
    _SUSPICIOUS: (0.93, 1.0),
}
# Of remarks, sentences that say what to do on a command line.
_OF_COMMANDS = (" --", "'differnet ")


def train(task: Mapping[str, Any]) -> None:
    """Train a version: ``pictures`` (path and filename of each), ``preset``, ``changes``, ``region``."""
    folder, teller = Path(task["folder"]), Teller(_TRAINING)
    torch.set_num_threads(task["cores"])
    names = dict(task["pictures"])
    model = _trained(task, folder, teller, list(names))
    manifest = model.manifest
    if manifest is None:
        raise ResumeError("The model holds nothing; train again.")
    record = manifest.training
    suspects = [
        {
            "sha256": Path(suspect.name).stem,
            "filename": names.get(suspect.name),
            **{name: getattr(suspect, name) for name in ("score", "deviations", "far_off", "left_out", "uncounted")},
        }
        for suspect in record.suspects[:_MOST_MAPS]
    ]
    there = [suspect.name for suspect in record.suspects[:_MOST_MAPS]]
    unseeing = _without(task, list(names), record.suspects) or model
    _draw(unseeing, there, lambda place: folder / "maps" / str(suspects[place]["sha256"]), teller, _SUSPICIOUS)
    views = manifest.settings.views
    write_result(
        folder,
        {
            "model_id": manifest.model_id,
            "choices": task["choices"],
            "pictures": [Path(path).stem for path in names],
            "images": record.images,
            "seconds": record.seconds,
            "image_size": views.size,
            "turned": views.count > 1,
            "share_kept": None if model.view_decision is None else model.view_decision.share_kept,
            "calibration": calibration_card(model),
            "held_out_scores": sorted(model.held_out_scores.tolist()),
            "remarks": _for_the_page(record.remarks, names),
            "suspects": suspects,
            "failures": [
                {"filename": names.get(failure.source), "reason": failure.reason} for failure in model.failures
            ],
        },
    )


def compare(task: Mapping[str, Any]) -> None:
    """Score the same reviewed pictures by two versions: ``models`` (number and file), ``images``."""
    folder, images = Path(task["folder"]), task["images"]
    torch.set_num_threads(task["cores"])
    paths = [image["path"] for image in images]
    teller = Teller({"comparing": (0.02, 0.8), "maps": (0.8, 1.0)})
    models = [DifferNet.load(each["file"], device=task["device"], weights=task["weights"]) for each in task["models"]]
    found: list[list[Verdict | Failure]] = []
    for model in models:
        verdicts: list[Verdict | Failure] = []
        for verdict in model.inspect_stream(paths):
            verdicts.append(verdict)
            teller.images("comparing", len(found) * len(paths) + len(verdicts), len(models) * len(paths))
        found.append(verdicts)
    rows = []
    for image, verdicts_of in zip(images, zip(*found, strict=True), strict=True):
        good = [verdict for verdict in verdicts_of if isinstance(verdict, Verdict)]
        if len(good) == len(models):
            about = {name: image[name] for name in ("id", "filename", "review")}
            decisions, scores = [verdict.decision for verdict in good], [verdict.score for verdict in good]
            rows.append({**about, "path": image["path"], "decisions": decisions, "scores": scores})
    differ = [row for row in rows if len(set(row["decisions"])) > 1]
    shown = differ[:_MOST_DIFFERENT]
    for place, (model, each) in enumerate(zip(models, task["models"], strict=True)):

        def file(row: int, number: int = each["number"]) -> Path:
            return folder / "maps" / f"{shown[row]['id']}-{number}"

        _draw(model, [row["path"] for row in shown], file, teller, "maps", part=place, parts=len(models))
    for row in rows:
        del row["path"]
    write_result(
        folder,
        {
            "versions": [
                {
                    "number": each["number"],
                    "calibration": calibration_card(model),
                    "held_out_scores": sorted(model.held_out_scores.tolist()),
                    **_tally([(row["review"], row["decisions"][place]) for row in rows]),
                }
                for place, (model, each) in enumerate(zip(models, task["models"], strict=True))
            ],
            "images": rows,
            "differ": [row["id"] for row in differ],
            "mapped": [row["id"] for row in shown],
            "unusable": len(images) - len(rows),
            "learnt": task["learnt"],
        },
    )


TASKS: Mapping[str, Callable[[dict[str, Any]], None]] = {"train": train, "compare": compare}
"""By the kinds of jobs."""


def _trained(task: Mapping[str, Any], folder: Path, teller: Teller, paths: Sequence[str]) -> DifferNet:
    """The model, which may be there already: only what comes after it was not done then."""
    file = folder / MODEL
    if file.is_file():
        return DifferNet.load(file, device=task["device"], weights=task["weights"])
    region = task["region"]
    settings = preset(task["preset"]).with_overrides(task["changes"])
    interest = None if region is None else read_region(",".join(map(str, region)), paths)
    model = DifferNet(settings, region=interest, device=task["device"], weights=task["weights"])
    kept = folder / STATE
    try:
        model.fit(list(paths), teller, state=TrainingState(kept, resume=kept.is_file(), seconds=_STATE_SECONDS))
    except ResumeError:  # of another version of the package, or damaged
        kept.unlink(missing_ok=True)
        model.fit(list(paths), teller, state=TrainingState(kept, seconds=_STATE_SECONDS))
    with replacing_for_good(file) as part:
        model.fitted.save(part)
    kept.unlink(missing_ok=True)
    return model


def _without(task: Mapping[str, Any], paths: Sequence[str], suspects: Sequence[Suspect]) -> DifferNet | None:
    """A quick model of pictures that are not suspicious: to one that learnt a defect, it is nothing strange.

    Returns:
        None where no picture is far off, or the others do not suffice.
    """
    off = {suspect.name for suspect in suspects if suspect.far_off and not suspect.left_out}
    others = [path for path in paths if path not in off]
    if not off:
        return None
    others = others[:: -(-len(others) // _LEARNT_FOR_MAPS)]
    quick = {"calibration.method": "held-out", "calibration.false_reject_rate": _RATE_FOR_MAPS, "training.epochs": 1}
    region = task["region"]
    try:
        interest = None if region is None else read_region(",".join(map(str, region)), others)
        settings = preset("fast").with_overrides({**task["changes"], **quick})
        model = DifferNet(settings, region=interest, device=task["device"], weights=task["weights"])
        return model.fit(others, Teller({}))
    except DifferNetError:
        return None


def _draw(
    model: DifferNet,
    paths: Sequence[str],
    file: Callable[[int], Path],
    teller: Teller,
    stage: str,
    *,
    part: int = 0,
    parts: int = 1,
) -> None:
    """Write heat maps and their explanations, as far as they can be made."""
    for place, explanation in enumerate(model.explain_stream(paths)):
        if not isinstance(explanation, Failure):
            layer, about = explanation_pair(explanation)
            target = file(place)
            target.parent.mkdir(exist_ok=True)
            target.with_suffix(".png").write_bytes(layer)
            target.with_suffix(".json").write_text(json.dumps(about), encoding="utf-8")
        teller.images(stage, part * len(paths) + place + 1, parts * len(paths))


def _tally(judged: Sequence[tuple[str, str | None]]) -> dict[str, int]:
    """Of reviews and decisions: what was judged good and refused all the same, and what was defective and accepted."""
    return {
        "good": sum(review == "good" for review, _ in judged),
        "defective": sum(review == "defective" for review, _ in judged),
        "false_rejects": sum(review == "good" and decision == "reject" for review, decision in judged),
        "escapes": sum(review == "defective" and decision == "accept" for review, decision in judged),
        "to_review": sum(decision == "review" for _, decision in judged),
    }


def _for_the_page(remarks: Sequence[str], names: Mapping[str, str | None]) -> list[str]:
    """Remarks by the pictures' own names, without what only a command line can do."""
    said = []
    for remark in remarks:
        sentences = [each for each in remark.split(". ") if not any(mark in each for mark in _OF_COMMANDS)]
        told = ". ".join(sentences)
        for path, filename in names.items():
            if filename:
                told = told.replace(Path(path).name, filename)
        if told:
            said.append(told if told.endswith(".") else f"{told}.")
    return said
