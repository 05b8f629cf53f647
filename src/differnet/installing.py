"""The command that installs a package into this very environment, for messages: pip, uv, pipx or conda."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

__all__ = ["install_command", "install_extra"]


def install_extra(extra: str) -> str:
    """The command that adds an extra of this package, such as ``pip install 'differnet[server]'``."""
    requirement = _quoted(f"differnet[{extra}]")
    if _is_made_by("pipx", "venvs"):
        return f"pipx install --force {requirement}"
    if _is_made_by("uv", "tools"):
        return f"uv tool install {requirement}"
    return f"{_installer()} {requirement}"


def install_command(requirement: str, *options: str) -> str:
    """The command that adds another package.

    Args:
        requirement: What to install, as pip takes it.
        options: Options of pip before it, such as ``--no-deps``.
    """
    words = " ".join([*options, _quoted(requirement) if set(requirement) & set("<>[]; ") else requirement])
    return f"{_installer()} {words}"


def _installer() -> str:
    if _is_made_by("pipx", "venvs"):
        return f"pipx runpip {Path(sys.prefix).name} install"
    if _is_made_by("uv", "tools"):
        return f"uv pip install --python {_quoted_path(sys.executable)}"
    if _is_of_uv():
        return "uv pip install" if _is_active() else f"uv pip install --python {_quoted_path(sys.executable)}"
    # In conda's environments too: this package is on no channel, and pip there is the environment's own.
    return "pip install" if _pip_is_ours() else f"{_quoted_path(sys.executable)} -m pip install"


def _is_made_by(tool: str, folder: str) -> bool:
    """Whether the environment lies where a tool keeps those of its applications: ``.../pipx/venvs/differnet``."""
    parts = Path(sys.prefix).parts
    return parts[-3:-1] == (tool, folder)


def _is_of_uv() -> bool:
    try:
        lines = (Path(sys.prefix) / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.partition("=")[0].strip() == "uv" for line in lines)


def _is_active() -> bool:
    return any(
        _is_same(variable, sys.prefix)
        for variable in (os.environ.get("VIRTUAL_ENV"), os.environ.get("CONDA_PREFIX"))
        if variable
    )


def _pip_is_ours() -> bool:
    """Whether ``pip``, typed as it is, installs for the interpreter that runs this."""
    found = shutil.which("pip")
    return found is not None and _is_same(Path(found).parent, Path(sys.executable).parent)


def _is_same(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    return os.path.normcase(Path(one).absolute()) == os.path.normcase(Path(other).absolute())


def _quoted(requirement: str) -> str:
    # cmd.exe takes single quotes for a part of the word; brackets mean something to zsh.
    return f'"{requirement}"' if os.name == "nt" else f"'{requirement}'"


def _quoted_path(path: str) -> str:
    return f'"{path}"' if " " in path else path
