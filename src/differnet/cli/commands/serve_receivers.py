"""Where ``differnet serve`` sends verdicts on: addresses, each with a queue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from differnet.cli.commands.watch_destinations import Destinations
from differnet.errors import SettingsError
from differnet.sinks import DeliveringSink

__all__ = ["open_receivers"]


@contextmanager
def open_receivers(given: Sequence[str]) -> Iterator[dict[str, tuple[str | None, DeliveringSink]]]:
    """Open the sinks of addresses, for the time of the block.

    Args:
        given: ``ADDRESS``, or ``MODEL=ADDRESS`` for the verdicts of one model.

    Yields:
        Model and sink, by the name of the queue: that of the kind of sink, as for ``watch``, after the model's.

    Raises:
        DifferNetError: If an address is none, or cannot be used.
    """
    found: dict[str, tuple[str | None, DeliveringSink]] = {}
    with ExitStack() as stack:
        pairs = [_split(each) for each in given]
        for (model, _), (queue, sink) in zip(
            pairs, Destinations((), [address for _, address in pairs]).open_sinks(), strict=True
        ):
            found[queue if model is None else f"{model}/{queue}"] = (model, stack.enter_context(sink))
        yield found


def _split(given: str) -> tuple[str | None, str]:
    model, separator, address = given.partition("=")
    if not separator or "://" in model:
        return None, given
    if not model or "://" not in address:
        raise SettingsError(f"--to {given}: is neither ADDRESS nor MODEL=ADDRESS; write bottle=mqtt://broker/line1.")
    return model, address
