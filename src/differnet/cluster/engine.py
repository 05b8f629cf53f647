"""Connecting to Ray, which schedules, moves data and recovers from lost workers."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from differnet.errors import ClusterError, MissingExtraError

__all__ = ["LOCAL", "connected"]

LOCAL = "local"
"""The address that starts a cluster of this machine's cores, for as long as the command runs."""


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be connected to a Ray cluster; one that was started here is stopped at the end.

    Args:
        address: ``local``, ``auto`` (the cluster that this machine belongs to), ``host:port`` or ``ray://host:port``.

    Raises:
        MissingExtraError: If Ray is not installed.
        ClusterError: If there is no cluster at the address.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("--ray needs Ray. Run: pip install 'differnet[cluster]'")
    # Nothing of what a factory does is reported to anybody, unless it says so itself.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray  # noqa: PLC0415

    started = not ray.is_initialized()
    if started:
        try:
            ray.init(
                address=address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                include_dashboard=False if address == LOCAL else None,
            )
        except (ConnectionError, OSError, ValueError, RuntimeError, TimeoutError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ClusterError(
                f"There is no Ray cluster at '{address}' ({reason}); start one with 'ray start --head', or give "
                f"--ray {LOCAL} to use this machine's cores."
            ) from None
    try:
        yield
    finally:
        if started:
            ray.shutdown()
