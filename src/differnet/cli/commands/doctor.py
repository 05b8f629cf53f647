"""``differnet doctor``: what this installation has, what is missing, and the command that mends it."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import typer

from differnet.cli.commands.weights import weights_table
from differnet.cli.console import EXIT_FAILED, print_json
from differnet.cli.options import JsonOption
from differnet.installing import install_command, install_extra

__all__ = ["doctor"]

_PACKAGES = ("torch", "numpy", "opencv-python-headless", "pillow", "safetensors", "scikit-learn")
_EXTRAS = {
    "openvino": ("fast", "runs the network on the processor."),
    "matplotlib": ("demo", "for the demo."),
    "elpv_dataset": ("demo", "for the demo."),
}


def doctor(as_json: JsonOption = False) -> None:
    """Check the installation. Exit code 1 if something is missing without which nothing works."""
    checks = _check_packages()
    try:
        checks += [*_check_machine(), *_check_weights()]
    except (ImportError, OSError) as error:  # a package is missing, or a library that it loads
        remedy = f"Run: {install_command('differnet', '--force-reinstall')}"
        checks.append(_check("import", False, f"fails ({error}).", remedy=remedy))
    checks += _check_extras()
    broken = any(check["needed"] and not check["ok"] for check in checks)
    if as_json:
        print_json({"ok": not broken, "checks": checks})
    else:
        for check in checks:
            mark = "ok" if check["ok"] else ("MISSING" if check["needed"] else "absent")
            remedy = f"  {check['remedy']}" if check["remedy"] and not check["ok"] else ""
            sys.stdout.write(f"{mark:<8} {check['name']:<28} {check['detail']}{remedy}\n")
    if broken:
        raise typer.Exit(EXIT_FAILED)


def _check(name: str, ok: bool, detail: str, *, needed: bool = True, remedy: str | None = None) -> dict[str, Any]:
    return {"name": name, "ok": ok, "needed": needed, "detail": detail, "remedy": remedy}


def _check_packages() -> list[dict[str, Any]]:
    checks = [_check("python", True, platform.python_version())]
    for package in _PACKAGES:
        try:
            checks.append(_check(package, True, version(package)))
        except PackageNotFoundError:
            checks.append(_check(package, False, "not installed.", remedy=f"Run: {install_command(package)}"))
    return checks


def _check_machine() -> list[dict[str, Any]]:
    import torch  # noqa: PLC0415

    from differnet.compute.devices import has_fast_bfloat16  # noqa: PLC0415

    bfloat16 = has_fast_bfloat16(torch.device("cpu"))
    cuda = torch.cuda.is_available()
    return [
        _check("processor", True, f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads"),
        _check("bfloat16 on the processor", bfloat16, "used" if bfloat16 else "float32 is used.", needed=False),
        _check("GPU", cuda, torch.cuda.get_device_name() if cuda else "the processor is used.", needed=False),
    ]


def _check_weights() -> list[dict[str, Any]]:
    from differnet.settings import ExtractorSettings  # noqa: PLC0415 - --help must not need pydantic

    return [
        _check(
            f"weights of {row['name']}",
            row["found"],
            row["file"] or "not found.",
            needed=row["name"] == ExtractorSettings().name,
            remedy=row["remedy"],
        )
        for row in weights_table()
    ]


def _check_extras() -> list[dict[str, Any]]:
    return [
        _check(
            module,
            importlib.util.find_spec(module) is not None,
            purpose,
            needed=False,
            remedy=f"Run: {install_extra(extra)}",
        )
        for module, (extra, purpose) in _EXTRAS.items()
    ]
