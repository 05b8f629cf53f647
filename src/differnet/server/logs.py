"""Logs: one JSON object per line, on stderr."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

__all__ = ["JsonFormatter", "set_up_logs", "stderr_as_json"]

_log = logging.getLogger(__name__)

_LOGGERS = ("differnet", "uvicorn", "alembic")
_LONGEST_LINE = 2000
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """A line of JSON: time, level, what happened, and the fields that were given as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _PLAIN},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up_logs(level: str = "info") -> None:
    """Send what the service and its web server have to say to stderr, as JSON.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name, least in zip(_LOGGERS, (level.upper(), "INFO", "WARNING"), strict=True):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(least)
        logger.propagate = False
    # The middleware writes its own line for each request, without headers.
    logging.getLogger("uvicorn.access").disabled = True


@contextmanager
def stderr_as_json() -> Iterator[None]:
    """Have what others write on stderr, decoders above all, told as lines of the log, in which each line is JSON."""
    real = os.dup(2)
    stream = os.fdopen(real, "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    reader, writer = os.pipe()
    handlers = {
        handler
        for name in _LOGGERS
        for handler in logging.getLogger(name).handlers
        if isinstance(handler, logging.StreamHandler)
    }
    before = [(handler, handler.setStream(stream)) for handler in handlers]
    os.dup2(writer, 2)
    os.close(writer)
    thread = threading.Thread(target=_tell_lines, args=(reader,), name="stderr", daemon=True)
    thread.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(real, 2)  # the last writer of the pipe: its reader ends
        thread.join(5.0)
        for handler, old in before:
            if old is not None:
                handler.setStream(old)
        stream.close()


def _tell_lines(reader: int) -> None:
    with os.fdopen(reader, encoding="utf-8", errors="backslashreplace") as lines:
        for line in lines:
            if line.strip():
                _log.info("stderr", extra={"line": line.strip()[:_LONGEST_LINE]})
