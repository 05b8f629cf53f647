"""What jobs do by commands of differnet, from within their own process, which needs no torch for it."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from differnet.files import replacing
from differnet.server.products.worker import Teller, run_command, write_result

__all__ = ["COMMANDS", "REPORT"]

REPORT = "report.html"


def export(task: Mapping[str, Any]) -> None:
    """Export a model: ``model``, ``name``, ``to``, ``map``."""
    folder, name, to = Path(task["folder"]), task["name"], task["to"]
    teller = Teller({"exporting": (0.1, 0.9)})
    teller.images("exporting", 1, 4)
    suffix = {"onnx": ".onnx", "openvino": ".xml"}[to]
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    arguments = ["export", task["model"], "--output", str(work / f"{name}{suffix}"), "--to", to]
    run_command([*arguments, *(["--map"] if task["map"] else []), *_weights(task["weights"])])
    made = sorted(work.iterdir())
    if len(made) == 1:
        file = folder / made[0].name
        made[0].replace(file)
    else:
        file = folder / f"{name}.zip"
        with replacing(file) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for each in made:
                archive.write(each, each.name)
    shutil.rmtree(work, ignore_errors=True)
    write_result(folder, {"file": file.name, "bytes": file.stat().st_size})


def report(task: Mapping[str, Any]) -> None:
    """Write a report on a version by reviewed parts: ``model``, ``name``, ``version``, ``images``."""
    folder = Path(task["folder"])
    teller = Teller({"comparing": (0.1, 0.9)})
    teller.images("comparing", 1, 4)
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    for place, image in enumerate(task["images"]):
        there = work / "test" / image["review"] / str(place)  # two parts may have one name
        there.mkdir(parents=True)
        _place(Path(image["path"]), there / image["name"])
    made = work / REPORT
    title = f"{task['name']}, version {task['version']}"
    kinds = [word for name in sorted({image["review"] for image in task["images"]}) for word in (f"--{name}", name)]
    arguments = ["report", task["model"], str(work / "test"), *kinds, "--output", str(made), "--title", title]
    run_command([*arguments, *_weights(task["weights"])])
    made.replace(folder / REPORT)
    shutil.rmtree(work, ignore_errors=True)
    write_result(folder, {"file": REPORT, "images": len(task["images"])})


COMMANDS: Mapping[str, Callable[[dict[str, Any]], None]] = {"export": export, "report": report}
"""By the kinds of jobs."""


def _place(file: Path, link: Path) -> None:
    try:
        link.symlink_to(file.resolve())
    except OSError:  # which not every system lets everybody
        shutil.copyfile(file, link)


def _weights(weights: str | None) -> list[str]:
    return [] if weights is None else ["--weights", weights]
