"""Verdicts as a client of OPC UA finds them: one after the other, counted, and nobody else's to write."""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua

from differnet.errors import MissingExtraError, OutputError, SettingsError
from differnet.images.failure import Failure
from differnet.inspection.verdict import Verdict
from differnet.sinks import OpcUaSink
from differnet.sinks.opcua_server import NAMESPACE
from differnet.watching import Journal, Recorder, Sender
from tests.sinks.plc import Plc
from tests.sinks.test_contract import FAILURE, RAW, VERDICT
from tests.sinks.test_mqtt import record


def look(address: str, *names: str) -> dict[str, Any]:
    """Read nodes of the product, and try to write one that is not a client's to write."""

    async def read() -> dict[str, Any]:
        async with Client(address) as client:
            space = await client.get_namespace_index(NAMESPACE)
            nodes = {name: client.get_node(f"ns={space};s=bottle.{name}") for name in names}
            with pytest.raises(ua.uaerrors.BadUserAccessDenied):
                await nodes[names[0]].write_value(ua.Variant(0, ua.VariantType.UInt64))
            return {name: await node.read_value() for name, node in nodes.items()}

    return asyncio.run(read())


def test_acknowledged_one_by_one_across_a_restart_and_counted(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal, Plc(tmp_path) as plc:
        told: list[str] = []
        recorder = Recorder(tmp_path, journal, [], {"opcua": lambda: None})
        results: list[Verdict | Failure] = [VERDICT, FAILURE, RAW, VERDICT]
        for number, result in enumerate(results):
            record(recorder, number, result)
        sink = OpcUaSink(f"{plc.address}?acknowledge=true")
        with pytest.raises(OutputError, match="cannot listen on"):
            OpcUaSink(plc.address)
        sender = Sender(sink, journal, "opcua", say=told.append, warn=told.append)
        sender.start()
        sender.drain(10.0)
        found = look(
            plc.address, "Sequence", "Score", "Decision", "Accepted", "Counts.Total", "Counts.Failed", "Counts.Reject"
        )
        assert found == {
            "Sequence": 4,
            "Score": VERDICT.score,
            "Decision": VERDICT.decision,
            "Accepted": True,
            "Counts.Total": 4,
            "Counts.Failed": 1,
            "Counts.Reject": 0,
        }
        record(recorder, 4, FAILURE)  # comes while nobody delivers
        sender.close()
        sink.close()
        with OpcUaSink(plc.address) as again:  # of nobody's acknowledgement is anything waited for
            second = Sender(again, journal, "opcua", say=told.append, warn=told.append)
            second.start()
            second.drain(10.0)
            second.close()
            first = look(plc.address, "Sequence", "Error", "Score", "Counts.Total")
            deadline = time.monotonic() + 5.0
            while look(plc.address, "Heartbeat")["Heartbeat"] == 0:
                assert time.monotonic() < deadline
        assert (first["Sequence"], first["Counts.Total"]) == (5, 5)
        assert first["Error"]
        assert math.isnan(first["Score"])
    assert plc.sequences == [1, 2, 3, 4]
    assert [row["sequence"] for row in plc.rows] == plc.sequences
    assert told == []


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("opc.tcp://", "is none; give one such as opc.tcp://host:4840/line1"),
        ("opc.tcp://host/a?acknowledge=perhaps", "write acknowledge=true"),
        ("opc.tcp://host/a?cert=a.der", "belong together"),
        ("opc.tcp://host/a?cert=/nowhere/a.der&key=b.pem", "no such file"),
        ("opc.tcp://line@host/a", "DIFFERNET_OPCUA_PASSWORD"),
    ],
)
def test_addresses_that_are_none(address: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        OpcUaSink(address)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "asyncua", None)
    with pytest.raises(MissingExtraError, match=r"differnet\[opcua\]"):
        OpcUaSink("opc.tcp://host")
