"""The command ``differnet``."""

from __future__ import annotations

import errno
import io
import os
import sys
import warnings
from importlib.metadata import version
from typing import Annotated

import typer

from differnet.cli.commands import (
    bench,
    calibrate,
    demo,
    doctor,
    evaluate,
    explain,
    export,
    fleet,
    import_official,
    info,
    inspect_folder,
    keys,
    recipe,
    report,
    score,
    serve,
    sign,
    train,
    verify,
    watch,
    weights,
)
from differnet.cli.common import with_quiet
from differnet.cli.console import EXIT_FAILED, exit_with_error
from differnet.cli.garbage import begin_quickly, end_quickly
from differnet.compute.memory import keep_freed_memory
from differnet.compute.waiting import wait_briefly
from differnet.errors import DifferNetError, OutputError

__all__ = ["app", "run"]

_NO_PATH = (errno.ENAMETOOLONG, errno.ELOOP)
_SHOWN = 200
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)

app = typer.Typer(
    name="differnet",
    help="Find defects on photographed parts, learning from images of good parts only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain help: the rich one takes half a second of imports before its first word.
    rich_markup_mode=None,
)
app.command("train")(with_quiet(train.train))
app.command("score")(with_quiet(score.score))
app.command("watch")(with_quiet(watch.watch))
app.command("evaluate")(with_quiet(evaluate.evaluate))
app.command("inspect-folder")(with_quiet(inspect_folder.inspect_folder))
app.command("calibrate")(with_quiet(calibrate.calibrate))
app.command("explain")(with_quiet(explain.explain))
app.command("export")(with_quiet(export.export))
app.command("verify")(with_quiet(verify.verify))
app.command("report")(with_quiet(report.report))
app.command("info")(with_quiet(info.info))
app.command("import-official")(with_quiet(import_official.import_official))
app.command("bench")(with_quiet(bench.bench))
app.command("demo")(with_quiet(demo.demo))
app.command("doctor")(with_quiet(doctor.doctor))
app.command("serve")(with_quiet(serve.serve))
app.command("sign")(with_quiet(sign.sign))
app.add_typer(fleet.app, name="fleet")
app.add_typer(keys.app, name="keys")
app.add_typer(recipe.app, name="recipe")
app.add_typer(weights.app, name="weights")


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"differnet {version('differnet')}\n")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command line: exit code 0 for success, 1 for failed work, 2 for wrong usage, 130 for Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for file names that the terminal cannot show
    # What OpenCV says of damaged images on stderr, each image's own sentence says already.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    # The same of streams: FFmpeg's own lines come again with each look for a camera, and a service's stderr is JSON.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    keep_freed_memory()
    wait_briefly()
    begin_quickly()
    # What Pillow has to say of odd metadata is of no use to anybody here.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
    try:
        try:
            app()
        finally:
            end_quickly()
            sys.stdout.flush()
    except DifferNetError as error:
        sys.exit(exit_with_error(error))
    except BrokenPipeError:
        # The reader of stdout went away, as `head` does; nothing more can be said there.
        _silence_stdout()
        sys.exit(EXIT_FAILED)
    except OSError as error:
        if error.errno in _NO_PATH:
            name = os.fsdecode(error.filename or "")
            shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
            sys.exit(exit_with_error(OutputError(f"{shown}: cannot be used ({error.strerror}); give another path.")))
        if error.filename is not None or error.errno not in _DISK_FULL:
            raise
        _silence_stdout()
        sys.exit(exit_with_error(OutputError(f"The output cannot be written ({error.strerror}); make space for it.")))


def _silence_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
