"""Results shown by an OPC UA server of one's own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any, TypeVar

from differnet.errors import MissingExtraError, OutputError, SettingsError
from differnet.installing import install_extra
from differnet.sinks.address import Address, read_address
from differnet.sinks.delivering import Answer, DeliveringSink, Delivery, in_words
from differnet.sinks.rows import COLUMNS

__all__ = ["OpcUaSink"]

_T = TypeVar("_T")

_PORTS = {"opc.tcp": 4840}
_OPTIONS = ("acknowledge", "cert", "key")
_YES = ("1", "true", "yes")


class OpcUaSink(DeliveringSink):
    """Serves every result as the nodes of a product: ``opc.tcp://0.0.0.0:4840/bottle``.

    The path is the product. Below its object stand a variable for each column of a result (``Decision``, ``Score``),
    ``Accepted``, ``Counts`` of all outcomes, ``Document`` with all of it as JSON, ``Heartbeat``, which grows by one
    every second, and ``Sequence``, which is written last: who subscribes to that finds the rest there. A result has
    arrived when its nodes are written; with ``?acknowledge=true``, when a client has written its sequence number to
    ``Acknowledged``. Until then the next one is not shown.

    Args:
        destination: The address to listen on. Options: ``acknowledge``; ``cert`` and ``key``, files with the server's
            certificate and its key, which leave no connections that are not signed. A user in it is the only one who
            may connect.
        columns: As for `DeliveringSink`, as are ``patience`` and ``first_wait``.
        token: The user's password.
        timeout: Seconds for which an acknowledgement is waited for in one attempt.
        patience: See there.
        first_wait: See there.

    Raises:
        SettingsError: If the address is none, or the certificate cannot be used.
        OutputError: If it cannot be listened on.
        MissingExtraError: If asyncua is not installed.
    """

    name = "opcua"
    schemes = ("opc.tcp",)
    secret = "DIFFERNET_OPCUA_PASSWORD"  # noqa: S105 - a name
    ordered = True
    longest_wait = 1.0

    def __init__(
        self,
        destination: str,
        *,
        columns: Iterable[str] = COLUMNS,
        token: str | None = None,
        timeout: float = 10.0,
        patience: float = 60.0,
        first_wait: float = 1.0,
    ) -> None:
        try:
            import asyncua  # noqa: F401, PLC0415
        except ImportError:
            raise MissingExtraError(f"OPC UA needs asyncua. Run: {install_extra('opcua')}") from None
        from differnet.sinks.opcua_server import ProductServer  # noqa: PLC0415

        address = read_address(destination, "The OPC UA address", _PORTS, _OPTIONS, self.secret)
        super().__init__(f"OPC UA: port {address.port}", columns=columns, patience=patience, first_wait=first_wait)
        certificate = _certificate(address)
        if bool(address.user) != bool(token) or (address.user and certificate is None):
            raise SettingsError(
                "An OPC UA user needs all of a name in the address, cert and key, for passwords are not sent openly, "
                f"and {self.secret}."
            )
        self._acknowledged = _switch(address, "acknowledge")
        self._timeout = timeout
        self._shown = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="differnet-opcua", daemon=True)
        self._thread.start()
        self._server = ProductServer(
            address.host,
            address.port,
            address.path or "differnet",
            certificate=certificate,
            user=(address.user, token or "") if address.user else None,
            acknowledged=self._acknowledged,
        )
        try:
            self._call(self._server.start())
        except OSError as error:
            self._end()
            raise OutputError(
                f"OPC UA cannot listen on {address.host}:{address.port} ({in_words(error)}); choose another port, or "
                "end the program that has it."
            ) from None
        except ValueError as error:
            self._end()
            raise SettingsError(
                f"The certificate for OPC UA cannot be used ({in_words(error)}); give cert and key in PEM or DER."
            ) from None
        except BaseException:
            self._end()
            raise

    def resume(self, counts: Mapping[str, int]) -> None:
        """Show how many results there were before."""
        self._shown = sum(counts.values())
        self._call(self._server.count(counts))

    def deliver(self, body: bytes, key: str) -> Answer:
        """Show a result."""
        try:
            row = json.loads(body)
            if "sequence" not in row:  # nobody keeps a journal
                row["sequence"] = self._shown + 1
            self._call(self._server.show(row, body.decode(), key), self._timeout)
            self._shown = row["sequence"]
            if self._acknowledged:
                self._call(self._server.acknowledgement(row["sequence"]), self._timeout)
        except (TimeoutError, FutureTimeoutError, asyncio.TimeoutError):
            return Answer(Delivery.FAILED, "no client has acknowledged it")
        except Exception as error:
            return Answer(Delivery.FAILED, in_words(error))
        return Answer(Delivery.ARRIVED, "shown")

    def close(self) -> None:
        """End the server."""
        if self._thread.is_alive():
            self._call(self._server.stop())
            self._end()

    def _call(self, work: Coroutine[Any, Any, _T], timeout: float | None = None) -> _T:
        async def limited() -> _T:
            return await asyncio.wait_for(work, timeout)

        return asyncio.run_coroutine_threadsafe(limited(), self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _switch(address: Address, name: str) -> bool:
    value = address.options.get(name, "false").lower()
    if value not in (*_YES, "0", "false", "no"):
        raise SettingsError(f"The OPC UA address has {name}={value}; write {name}=true or leave it out.")
    return value in _YES


def _certificate(address: Address) -> tuple[Path, Path] | None:
    cert, key = address.options.get("cert"), address.options.get("key")
    if bool(cert) != bool(key):
        raise SettingsError("cert and key of the OPC UA address belong together; give both.")
    if not cert or not key:
        return None
    for name in (cert, key):
        if not Path(name).is_file():
            raise SettingsError(f"{name}: no such file; check cert and key of the OPC UA address.")
    return Path(cert), Path(key)
