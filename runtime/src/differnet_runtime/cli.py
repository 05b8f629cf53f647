"""The command ``differnet-inspect``."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, TypeAlias

from differnet_runtime.cells import csv_line, printable
from differnet_runtime.collect import collect_images
from differnet_runtime.errors import InspectionError, OutputError
from differnet_runtime.verdict import Failure, Verdict

__all__ = ["main", "run"]

_EXIT_FAILED = 1
_EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_STDOUT = "-"

_Sink: TypeAlias = Callable[[Mapping[str, Any]], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Inspect images; returns the exit code.

    Args:
        arguments: Of the command line; None takes those of the process.

    Raises:
        InspectionError: If the model cannot be used, or nothing can be read or written.
    """
    options = _parser().parse_args(arguments)
    if options.json and _STDOUT in (options.csv, options.jsonl):
        _parser().error("--json has stdout for itself; write CSV or JSON Lines to a file.")
    found = collect_images(options.images)
    if found.passed_over:
        _say(f"{found.passed_over}.")
    # What OpenCV says of damaged images on stderr, each image's own sentence says already.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    # Imported late: --help needs none of it.
    from differnet_runtime.inspector import Inspector  # noqa: PLC0415

    inspector = Inspector(options.model, threads=options.threads, threshold=options.threshold, region=options.region)
    rows: list[dict[str, Any]] = []
    failures: list[Failure] = []
    unlike: dict[str, list[str]] = {}
    with ExitStack() as stack:
        sinks: list[_Sink] = []
        if options.csv:
            sinks.append(stack.enter_context(_csv_sink(options.csv)))
        if options.jsonl:
            sinks.append(stack.enter_context(_jsonl_sink(options.jsonl)))
        if options.json:
            sinks.append(lambda row: rows.append(dict(row)))
        if not sinks:
            sinks.append(_print_line)
        for result in inspector.inspect_stream(found.paths):
            if isinstance(result, Failure):
                failures.append(result)
                continue
            unlike.setdefault(result.unlike or "", []).append(result.source)
            for sink in sinks:
                sink(result.to_dict())
    if options.json:
        skipped = [failure.to_dict() for failure in failures]
        document = {"model": str(options.model), "images": rows, "skipped": skipped}
        sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
    unlike.pop("", None)
    _tell(unlike, failures)
    return _EXIT_FAILED if failures else 0


def _tell(unlike: Mapping[str, Sequence[str]], failures: Sequence[Failure]) -> None:
    for what, sources in unlike.items():
        _say(f"warning: {len(sources)} image(s) are unlike the training images: {what} ({sources[0]}).")
    for failure in failures:
        _say(f"warning: {failure}")
    if failures:
        _say(f"{len(failures)} image(s) skipped.")


def run() -> None:
    """Run the command: exit code 0 for success, 1 for failed work, 2 for wrong usage, 130 for Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for file names that the terminal cannot show
    try:
        sys.exit(main())
    except InspectionError as error:
        _say(f"error: {error}")
        sys.exit(_EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(_EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of stdout went away, as `head` does; nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_EXIT_FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="differnet-inspect",
        description="Score images by an exported model and decide: the higher the score, the more anomalous. A line "
        "per image, as they come.",
    )
    parser.add_argument("model", type=Path, help="ONNX file that 'differnet export' made")
    parser.add_argument(
        "images",
        type=Path,
        nargs="+",
        help="image files, folders (searched through), list files (.txt, a path per line)",
    )
    parser.add_argument("--csv", metavar="FILE", help="write CSV, '-' for stdout")
    parser.add_argument("--jsonl", metavar="FILE", help="write JSON Lines, '-' for stdout")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else")
    parser.add_argument("--threads", type=_positive, help="threads of a verdict; by default one a core")
    parser.add_argument(
        "--threshold", type=float, help="a raw threshold by hand instead of the file's; scores above it are refused"
    )
    parser.add_argument(
        "--region", metavar="BOX_OR_MASK", help="the part of each image that counts: x,y,width,height or a mask image"
    )
    parser.add_argument("--version", action="version", version=f"differnet-runtime {version('differnet-runtime')}")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _say(message: str) -> None:
    sys.stderr.write(f"{printable(message)}\n")


def _print_line(row: Mapping[str, Any]) -> None:
    decision = f"\t{row['decision']}" if row["decision"] else ""
    sys.stdout.write(f"{row['score']:.6g}{decision}\t{printable(row['path'])}\n")
    sys.stdout.flush()


@contextmanager
def _open_output(path: str) -> Iterator[IO[str]]:
    if path == _STDOUT:
        yield sys.stdout
        return
    try:
        # File names that are not valid text are written with escapes; they must not end a batch.
        with Path(path).open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
            yield stream
    except OSError as error:
        if error.filename not in (None, path):
            raise
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); choose a writable folder with space."
        ) from None


@contextmanager
def _csv_sink(path: str) -> Iterator[_Sink]:
    with _open_output(path) as stream:
        columns = Verdict.columns()

        def write(row: Mapping[str, Any]) -> None:
            stream.write(csv_line(columns, (row[column] for column in columns)).decode())
            stream.flush()

        write(dict(zip(columns, columns, strict=True)))
        yield write


@contextmanager
def _jsonl_sink(path: str) -> Iterator[_Sink]:
    with _open_output(path) as stream:

        def write(row: Mapping[str, Any]) -> None:
            stream.write(json.dumps(row) + "\n")
            stream.flush()

        yield write
