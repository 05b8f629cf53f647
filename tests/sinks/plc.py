"""What reads results over OPC UA and acknowledges each, as a PLC does."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from pathlib import Path
from typing import Any

from asyncua import Client, ua
from asyncua.common.node import Node

from differnet.sinks.opcua_server import NAMESPACE


class Plc:
    """Connects as soon as there is a server, until told to end.

    Attributes:
        address: Where the server is to listen.
        rows: The documents that were acknowledged.
    """

    def __init__(self, folder: Path, product: str = "bottle") -> None:
        del folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"opc.tcp://127.0.0.1:{free.getsockname()[1]}/{product}"
        self.rows: list[dict[str, Any]] = []
        self.sequences: list[int] = []
        self._product = product
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Plc:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    async def _run(self) -> None:
        while not self._ending.is_set():
            try:
                async with Client(self.address) as client:
                    await self._take(client)
            except (OSError, asyncio.TimeoutError, ua.UaError):
                await asyncio.sleep(0.02)

    async def _take(self, client: Client) -> None:
        space = await client.get_namespace_index(NAMESPACE)

        def node(name: str) -> Node:
            return client.get_node(f"ns={space};s={self._product}.{name}")

        while not self._ending.is_set():
            sequence = await node("Sequence").read_value()
            if sequence and sequence != await node("Acknowledged").read_value():
                self.sequences.append(sequence)
                self.rows.append(json.loads(await node("Document").read_value()))
                await node("Acknowledged").write_value(sequence, ua.VariantType.UInt64)
            await asyncio.sleep(0.01)
