"""``differnet watch``: inspect files as a camera drops them, or a camera's frames."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from differnet.cli.commands.watch_source import FolderSource, chosen_source
from differnet.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, print_json, say, warn
from differnet.cli.garbage import collect_as_usual
from differnet.cli.options import DeviceOption, JsonOption, WeightsOption
from differnet.cli.outputs import STDOUT, check_writable
from differnet.errors import DifferNetError

if TYPE_CHECKING:
    from differnet.cli.commands.watch_destinations import Destinations
    from differnet.watching import CameraWatch, FolderWatch, Journal, Sender

__all__ = ["watch"]

_PATIENCE = 60.0
_EXIT_TERMINATED = 128 + 15


def watch(
    model: Annotated[Path, typer.Argument(help="Model file; loaded anew when it changes.")],
    folder: Annotated[
        Path | None, typer.Argument(help="Folder, watched with everything below it; or --camera in its place.")
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Inspect frames: 0 or 0?width=1920&height=1080 (USB), rtsp://..., a video file, "
            "genicam:SERIAL?cti=FILE.",
        ),
    ] = None,
    every: Annotated[
        float | None, typer.Option(min=0.001, metavar="SECONDS", help="Take a frame so often, not every one.")
    ] = None,
    trigger: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="Take a frame when asked: key (Enter), http://ADDRESS:PORT/ (for each POST), mqtt://BROKER/TOPIC.",
        ),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Save frames that are not accepted, as PNG.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Append rows as CSV.")] = None,
    jsonl: Annotated[Path | None, typer.Option(metavar="FILE", help="Append rows as JSON Lines.")] = None,
    webhook: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Post every verdict as JSON; DIFFERNET_WEBHOOK_TOKEN is the bearer token."),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DESTINATION",
            help="Send verdicts to mqtt://, mqtts://, https:// or http://, serve them at opc.tcp://, or append them "
            "to *.csv or *.jsonl. Repeatable.",
        ),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What was inspected; by default beside the output, FILE.journal."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Inspect what is there, then exit.")] = False,
    settle: Annotated[
        float, typer.Option(min=0.0, metavar="SECONDS", help="A file is complete when unchanged for so long.")
    ] = 0.5,
    poll: Annotated[
        float | None,
        typer.Option(min=0.05, metavar="SECONDS", help="Look for files so often, where the system tells no events."),
    ] = None,
    views: Annotated[
        str, typer.Option(help="sequential: no more views than settle the decision; all: the full score.")
    ] = "sequential",
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Inspect the images of a folder, or a camera's, as they come, each exactly once, across restarts."""
    from differnet.cli.commands.watch_destinations import Destinations  # noqa: PLC0415
    from differnet.watching import CurrentModel, Journal, OutputFile, Recorder, Sender  # noqa: PLC0415

    destinations = Destinations.of(csv, jsonl, webhook, to or [])
    _check_usage(destinations, journal, views)
    source = chosen_source(None if folder is None else FolderSource(folder, settle, poll), camera, every, trigger, keep)
    for path, _ in destinations.files:
        check_writable(path)
    with ExitStack() as stack:
        stopper = stack.enter_context(_Stopper())
        book = stack.enter_context(Journal(journal or destinations.usual_journal(folder or str(source))))
        outputs = [OutputFile(path, form, book) for path, form in destinations.files]
        for output in outputs:
            stack.callback(output.close)
            if output.restored:
                say(f"{output.path}: {output.restored} line(s) restored from the journal.")
        senders = {
            queue: Sender(stack.enter_context(sink), book, queue, say=say, warn=warn, crashed=stopper.abort)
            for queue, sink in destinations.open_sinks()
        }
        current = CurrentModel(
            model, device=device, weights=weights, all_views=views == "all", settle=settle, say=say, warn=warn
        )
        recorder = Recorder(source.folder, book, outputs, {queue: sender.wake for queue, sender in senders.items()})
        watcher = source.watch(current, book, recorder)
        stopper.attach(watcher)
        for sender in senders.values():
            sender.start()
            stack.callback(sender.close)
        collect_as_usual()
        say(f"watching {source} with model {current.model_id}; journal {book.path}.")
        (watcher.once if once else watcher.run)()
        if not watcher.is_stopping:  # all is done, as with --once, or at the end of a recording
            for sender in senders.values():
                sender.drain(_PATIENCE, lambda: watcher.is_stopping)
        for sender in senders.values():
            sender.close()
        if current.drift:
            warn(current.drift)
        if as_json:
            print_json(
                {
                    "source": str(source),
                    "model": str(model),
                    "model_id": current.model_id,
                    "journal": str(book.path),
                    "inspected": watcher.inspected,
                    "failed": watcher.failed,
                    "dropped": getattr(watcher, "dropped", 0),
                    "undelivered": book.undelivered(),
                    "left": [str(name) for name in watcher.left],
                    "drift": current.drift or None,
                }
            )
        _finish(watcher, book, senders, once or not watcher.is_stopping, stopper.received)


def _finish(
    watcher: FolderWatch | CameraWatch, journal: Journal, senders: Mapping[str, Sender], once: bool, received: list[int]
) -> None:
    """Tell what was done, and choose the exit code."""
    say(f"{watcher.inspected} image(s) inspected, {watcher.failed} could not be.")
    dropped = getattr(watcher, "dropped", 0)
    if dropped:
        say(f"{dropped} frame(s) dropped, which came faster than they could be inspected.")
    undelivered = journal.undelivered()
    if undelivered:
        say(f"{undelivered} verdict(s) not delivered yet; the next start with the same destinations goes on with them.")
    for name in watcher.left:
        warn(f"{name}: is still being written; left for the next time.")
    if signal.SIGINT in received:
        raise typer.Exit(EXIT_INTERRUPTED)
    if once and received:
        raise typer.Exit(_EXIT_TERMINATED)  # the work is not done
    behind = any(sender.refused or journal.undelivered(queue) for queue, sender in senders.items())
    if once and (watcher.failed or watcher.left or behind):
        raise typer.Exit(EXIT_FAILED)


def _check_usage(destinations: Destinations, journal: Path | None, views: str) -> None:
    if views not in ("sequential", "all"):
        raise typer.BadParameter(f"'{views}' is neither 'sequential' nor 'all'.", param_hint="--views")
    files = [path for path, _ in destinations.files]
    if not files and not destinations.addresses:
        raise typer.BadParameter("say where verdicts go: --csv FILE, --jsonl FILE, --webhook URL or --to DESTINATION.")
    if any(str(path) == STDOUT for path in files):
        raise typer.BadParameter("stdout forgets; watch writes to a file, so that no row is lost or written twice.")
    named = [*files, *([] if journal is None else [journal])]
    if len({path.absolute() for path in named}) < len(named):
        raise typer.BadParameter("--csv, --jsonl, --to and --journal need files of their own.")
    if len(set(destinations.addresses)) < len(destinations.addresses):
        raise typer.BadParameter("an address is given twice; give each once.")


class _Stopper:
    """Stops the watch on the first Ctrl-C or SIGTERM; a second Ctrl-C ends the process at once.

    Attributes:
        received: The signals that came.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        self._watcher: FolderWatch | CameraWatch | None = None

    def __enter__(self) -> _Stopper:
        self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def attach(self, watcher: FolderWatch | CameraWatch) -> None:
        """Give what is to be stopped."""
        self._watcher = watcher
        if self.received:
            watcher.stop()

    def abort(self, error: DifferNetError) -> None:
        """End the watch with an error of another thread."""
        if self._watcher is not None:
            self._watcher.abort(error)

    def _handle(self, number: int, _: FrameType | None) -> None:
        self.received.append(number)
        if self._watcher is not None:
            self._watcher.stop()
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
