"""Connecting to Ray, which schedules, moves data and recovers from lost workers."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass

from differnet.errors import ClusterError, MissingExtraError
from differnet.installing import install_extra

__all__ = ["LOCAL", "Resources", "check_resources", "connected", "require_ray", "streaming", "use_threads"]

LOCAL = "local"
"""The address that starts a cluster of this machine's cores, for as long as the command runs."""


@dataclass(frozen=True)
class Resources:
    """What a Ray task or actor needs.

    Attributes:
        cpus: Cores, at least 1; the networks compute with as many threads.
        gpus: Share of a GPU.
    """

    cpus: int = 1
    gpus: float = 0.0


def require_ray() -> None:
    """Make sure that Ray is installed, before anything is done.

    Raises:
        MissingExtraError: If it is not.
    """
    missing = [name for name in ("ray", "pyarrow") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"--ray needs {missing[0].replace('ray', 'Ray')}. Run: {install_extra('cluster')}")


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be connected to a Ray cluster; one that was started here is stopped at the end.

    Meanwhile what is printed goes to stderr: Ray tells of dead workers on stdout, which is the command's own.

    Args:
        address: ``local``, ``auto`` (the cluster that this machine belongs to), ``host:port`` or ``ray://host:port``.

    Raises:
        MissingExtraError: If Ray is not installed.
        ClusterError: If there is no cluster at the address.
    """
    require_ray()
    # Nothing of what a factory does is reported to anybody, unless it says so itself.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray  # noqa: PLC0415

    started = not ray.is_initialized()
    with redirect_stdout(sys.stderr):
        if started:
            _connect(address)
        try:
            yield
        finally:
            if started:
                ray.shutdown()


def _connect(address: str) -> None:
    import ray  # noqa: PLC0415

    try:
        ray.init(
            address=address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            include_dashboard=False if address == LOCAL else None,
        )
    except (ray.exceptions.RayError, OSError, ValueError, RuntimeError, ImportError) as error:
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise ClusterError(
            f"There is no Ray cluster at '{address}' that answers ({reason}); start one with 'ray start --head', "
            f"set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN if it asks for a token, or give --ray {LOCAL} to use this "
            f"machine's cores."
        ) from None


def check_resources(resources: Resources) -> None:
    """Make sure that some node can run a task.

    Raises:
        ClusterError: If none can.
    """
    import ray  # noqa: PLC0415

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(node.get("CPU", 0) >= resources.cpus and node.get("GPU", 0) >= resources.gpus for node in nodes):
        most = max((node.get("CPU", 0) for node in nodes), default=0)
        raise ClusterError(
            f"No node of the cluster has {resources.cpus} cores and {resources.gpus:g} GPUs (the largest has {most:g} "
            f"cores); ask for fewer with --cpus and --gpus."
        )


@contextmanager
def streaming() -> Iterator[None]:
    """Let Ray Data tell nothing on the terminal, and tell what it raises in one sentence. Its log file has all.

    Raises:
        ClusterError: If the cluster was lost, or a worker failed in a way that is not told in a row.
    """
    import ray.data  # noqa: PLC0415

    context = ray.data.DataContext.get_current()
    changes = {
        "enable_progress_bars": False,
        "print_on_execution_start": False,
        "raise_original_map_exception": True,
        "target_max_block_size": context.target_max_block_size,  # may be changed meanwhile
    }
    before = {name: getattr(context, name) for name in changes if hasattr(context, name)}
    handlers = [each for each in logging.getLogger("ray.data").handlers if each.name == "console"]
    levels = [handler.level for handler in handlers]
    try:
        for name in before:
            setattr(context, name, changes[name])
        for handler in handlers:
            handler.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            # The extra ends before the version of Ray in which what is deprecated now is gone.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    except ray.exceptions.RayError as error:
        raise ClusterError(f"The Ray cluster could not do the work: {_reason(error)}.") from None
    finally:
        for name, value in before.items():
            setattr(context, name, value)
        for handler, level in zip(handlers, levels, strict=True):
            handler.setLevel(level)


def use_threads(count: int) -> None:
    """Let the networks and OpenCV of this process compute with as many threads."""
    import cv2  # noqa: PLC0415
    import torch  # noqa: PLC0415

    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def _reason(error: BaseException) -> str:
    """What a worker raised, without the traceback that Ray puts around it."""
    cause = getattr(error, "cause", None)
    text = f"{type(cause).__name__}: {cause}" if isinstance(cause, Exception) else str(error)
    return " ".join(text.split())[:500].rstrip(".")
