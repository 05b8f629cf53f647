"""Sinks: where results go. A new kind is a file with its class, and a line here."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import Any

from differnet.errors import SettingsError
from differnet.registry import Registry
from differnet.sinks.cells import path_of
from differnet.sinks.delivering import Answer, DeliveringSink, Delivery, pause_after
from differnet.sinks.lines import CsvSink, JsonLinesSink
from differnet.sinks.mqtt import MqttSink
from differnet.sinks.opcua import OpcUaSink
from differnet.sinks.parquet import ParquetSink
from differnet.sinks.sink import Sink
from differnet.sinks.webhook import WebhookSink

__all__ = [
    "SINKS",
    "Answer",
    "CsvSink",
    "DeliveringSink",
    "Delivery",
    "JsonLinesSink",
    "MqttSink",
    "OpcUaSink",
    "ParquetSink",
    "Sink",
    "WebhookSink",
    "find_sink",
    "open_sink",
    "path_of",
    "pause_after",
]

SINKS: Registry[type[Sink]] = Registry("sink", CsvSink, JsonLinesSink, ParquetSink, WebhookSink, MqttSink, OpcUaSink)
"""Kinds of sinks by name."""


def find_sink(destination: str | os.PathLike[str]) -> type[Sink]:
    """Find the kind of sink that takes a destination: an address by its scheme, a file by its suffix.

    Raises:
        SettingsError: If there is none.
    """
    scheme, separator, _ = os.fspath(destination).partition("://")
    suffix = PurePath(destination).suffix.lower()
    for kind in SINKS.values():
        if scheme.lower() in kind.schemes if separator else suffix in kind.suffixes:
            return kind
    known = [each for kind in SINKS.values() for each in (*kind.suffixes, *(f"{name}://" for name in kind.schemes))]
    # Of an address no more is told: the rest may be secret.
    told = f"{scheme}://" if separator else os.fspath(destination)
    raise SettingsError(f"{told}: results cannot be written there; choose one of {', '.join(known)}.")


def open_sink(destination: str | os.PathLike[str], **options: Any) -> Sink:  # noqa: ANN401 - of the kind of sink
    """Open a sink for results.

    ```python
    with open_sink("results.csv") as sink:
        for result in model.inspect_stream(images):
            sink.write(result)
    ```

    Args:
        destination: ``*.csv``, ``*.jsonl``, ``*.parquet``, ``https://...``, ``mqtt://...``,
            ``opc.tcp://...``, or what else is registered in `SINKS`.
        options: For the constructor of that kind of sink, such as ``columns`` or a webhook's ``token``.

    Returns:
        The sink, a context manager.

    Raises:
        SettingsError: If nothing takes such a destination, or it is none.
        OutputError: If it cannot be written.
        MissingExtraError: If a package that this takes is not installed.
    """
    kind: Any = find_sink(destination)  # whose constructor is its own
    opened: Sink = kind(destination, **options)
    return opened
