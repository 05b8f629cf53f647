"""The OPC UA server of a product: its nodes, who may see them, and its heartbeat."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import math
import socket
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from asyncua import Server, ua
from asyncua.common.node import Node
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.user_managers import UserManager

from differnet.sinks.rows import COLUMNS

__all__ = ["NAMESPACE", "ProductServer"]

NAMESPACE = "urn:differnet"
"""Of all nodes; their identifiers are texts: ``bottle.Decision``, ``bottle.Counts.Total``."""

_HEARTBEAT = 1.0
"""Seconds between two beats."""

_OUTCOMES = ("accept", "review", "reject", "undecided", "failed")

_TYPES = {str: ua.VariantType.String, float: ua.VariantType.Double, int: ua.VariantType.Int64}
_ABSENT: dict[type, Any] = {str: "", float: math.nan, int: 0}
"""What stands for a value that there is none of: PLCs know no null."""

_SECURE = [
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
    ua.SecurityPolicyType.Basic256Sha256_Sign,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_Sign,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_Sign,
]


class _Users(UserManager):
    """Lets in everybody, or one user; to read, and to write what is meant for it.

    Args:
        only: Name and password; None lets everybody in.
    """

    def __init__(self, only: tuple[str, str] | None) -> None:
        self._only = only

    def get_user(
        self,
        iserver: Any,  # noqa: ANN401 - as declared there
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,  # noqa: ANN401
    ) -> User | None:
        """Say who somebody is; None turns them away."""
        if self._only is not None:
            given = (username or "", password or "")
            same = [hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(given, self._only, strict=True)]
            if not all(same):
                return None
        return User(role=UserRole.User, name=username)


class ProductServer:
    """The server; all its methods are run in one event loop.

    Args:
        host: Address to listen on.
        port: Port.
        product: What the product's object is called.
        certificate: Certificate and key, PEM or DER; with them connections are signed or encrypted, without, open.
        user: Name and password of the only one who may connect; None lets everybody in.
        acknowledged: Whether clients can acknowledge results.
    """

    def __init__(
        self,
        host: str,
        port: int,
        product: str,
        *,
        certificate: tuple[Path, Path] | None = None,
        user: tuple[str, str] | None = None,
        acknowledged: bool = False,
    ) -> None:
        self._host, self._port = host, port
        self._address = f"opc.tcp://{f'[{host}]' if ':' in host else host}:{port}/"
        self._product = product
        self._certificate = certificate
        self._user = user
        self._acknowledged = acknowledged
        self._nodes: dict[str, Node] = {}
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: If the address cannot be listened on.
            ValueError: If the certificate cannot be used.
        """
        with socket.create_server(
            (self._host, self._port), family=socket.AF_INET6 if ":" in self._host else socket.AF_INET
        ):
            pass  # told at once: what follows takes seconds, and writes a log of its own
        server = self._server = Server(user_manager=_Users(self._user))
        await server.init()
        server.set_endpoint(self._address)
        server.set_server_name("differnet")
        await server.set_application_uri(NAMESPACE)
        if self._certificate is None:
            server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        else:
            server.set_security_policy(_SECURE)
            await server.load_certificate(self._certificate[0])
            await server.load_private_key(self._certificate[1])
        server.set_identity_tokens([ua.UserNameIdentityToken if self._user else ua.AnonymousIdentityToken])
        await self._build()
        await server.start()
        self._beating = asyncio.get_running_loop().create_task(self._beat())

    async def stop(self) -> None:
        """End."""
        if self._beating is not None:
            self._beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beating
            await self._server.stop()

    async def count(self, counts: Mapping[str, int]) -> None:
        """Show how many results there were of each outcome."""
        for outcome in _OUTCOMES:
            await self._write(f"Counts.{outcome.capitalize()}", counts.get(outcome, 0), ua.VariantType.UInt64)
        await self._write("Counts.Total", sum(counts.values()), ua.VariantType.UInt64)

    async def show(self, row: Mapping[str, Any], document: str, key: str) -> None:
        """Show a result; its sequence number last.

        Args:
            row: With ``sequence``, and ``counts`` if somebody counts.
            document: All of it as JSON.
            key: Tells results apart.
        """
        for column, kind in COLUMNS.items():
            value = row.get(column)
            if isinstance(value, str):  # names of files that are no text are written with escapes
                value = value.encode("utf-8", "backslashreplace").decode()
            await self._write(_camel(column), _ABSENT[kind] if value is None else kind(value), _TYPES[kind])
        await self._write("Accepted", row.get("decision") == "accept", ua.VariantType.Boolean)
        if row.get("inspected_at"):
            await self._write("InspectedAt", datetime.fromisoformat(row["inspected_at"]), ua.VariantType.DateTime)
        counts = row.get("counts")
        if counts is None:
            counts = await self._counted_here(row)
        await self.count(counts)
        await self._write("Key", key, ua.VariantType.String)
        await self._write("Document", document, ua.VariantType.String)
        await self._write("Sequence", row["sequence"], ua.VariantType.UInt64)

    async def acknowledgement(self, sequence: int) -> None:
        """Wait until a client has acknowledged a result, or a later one."""
        while await self._nodes["Acknowledged"].read_value() != sequence:
            await asyncio.sleep(0.02)

    async def _counted_here(self, row: Mapping[str, Any]) -> dict[str, int]:
        sequence, before = row["sequence"], await self._nodes["Sequence"].read_value()
        counts = {each: await self._nodes[f"Counts.{each.capitalize()}"].read_value() for each in _OUTCOMES}
        if sequence != before:  # it is not shown once more
            counts["failed" if row.get("error") else row.get("decision") or "undecided"] += 1
        return counts

    async def _build(self) -> None:
        space: Any = await self._server.register_namespace(NAMESPACE)
        root = await self._server.nodes.objects.add_object(
            _identity(self._product, space), ua.QualifiedName(self._product, space)
        )
        below = await root.add_object(_identity(f"{self._product}.Counts", space), ua.QualifiedName("Counts", space))

        async def add(name: str, value: Any, kind: ua.VariantType) -> Node:  # noqa: ANN401 - of that kind
            parent, own = (below, name.removeprefix("Counts.")) if name.startswith("Counts.") else (root, name)
            identity = _identity(f"{self._product}.{name}", space)
            node = await parent.add_variable(identity, ua.QualifiedName(own, space), value, kind)
            self._nodes[name] = node
            return node

        for column, kind in COLUMNS.items():
            await add(_camel(column), _ABSENT[kind], _TYPES[kind])
        await add("Accepted", False, ua.VariantType.Boolean)
        await add("InspectedAt", datetime(1601, 1, 1), ua.VariantType.DateTime)
        for name in ("Key", "Document"):
            await add(name, "", ua.VariantType.String)
        for name in ("Counts.Total", *(f"Counts.{each.capitalize()}" for each in _OUTCOMES), "Sequence"):
            await add(name, 0, ua.VariantType.UInt64)
        await add("Heartbeat", 0, ua.VariantType.UInt32)
        await add("Version", version("differnet"), ua.VariantType.String)
        if self._acknowledged:
            await (await add("Acknowledged", 0, ua.VariantType.UInt64)).set_writable()

    async def _beat(self) -> None:
        beat = 0
        while True:
            await asyncio.sleep(_HEARTBEAT)
            beat = (beat + 1) % 2**32
            await self._write("Heartbeat", beat, ua.VariantType.UInt32)

    async def _write(self, name: str, value: Any, kind: ua.VariantType) -> None:  # noqa: ANN401 - of that kind
        await self._nodes[name].write_value(value, kind)


def _camel(column: str) -> str:
    return "".join(part.capitalize() for part in column.split("_"))


def _identity(text: Any, space: Any) -> ua.NodeId:  # noqa: ANN401 - the library's types are narrower than what it takes
    return ua.NodeId(text, space)
