"""Runs the application on a port until it is told to stop."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from differnet.errors import SettingsError
from differnet.server.app import build_app
from differnet.server.certificate import check_certificate
from differnet.server.incoming.connections import Bounds, bounded, most_connections
from differnet.server.station import Station

__all__ = ["serve"]

# Idle connections are kept as long as clients usually keep them.
_KEEP_ALIVE_SECONDS = 75


class _Server(uvicorn.Server):
    """Ends the streams of events first when it is told to stop: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, station: Station) -> None:
        super().__init__(config)
        self._station = station

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._station.events.close()
        await super().shutdown(sockets)


def serve(
    station: Station,
    host: str,
    port: int,
    *,
    trusted_proxies: Sequence[str] = (),
    certificate: tuple[Path, Path] | None = None,
    announce: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that are in flight then are finished.

    Args:
        station: The service; it is started and stopped here.
        host: Address to listen on.
        port: Port, 0 for a free one.
        trusted_proxies: Addresses or networks whose ``X-Forwarded-For`` and ``-Proto`` are believed.
        certificate: Certificate chain and private key, in PEM, to speak HTTPS; None speaks HTTP.
        announce: Told the address once it is listened on.

    Raises:
        SettingsError: If the address cannot be listened on, or the certificate not be used.
    """
    if certificate is not None:
        check_certificate(*certificate)
    listener = _listen(host, port)
    config = uvicorn.Config(
        build_app(station),
        log_config=None,
        access_log=False,
        server_header=False,
        http=bounded(Bounds(connections=most_connections())),
        ws="none",
        ssl_certfile=None if certificate is None else certificate[0],
        ssl_keyfile=None if certificate is None else certificate[1],
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=round(station.limits.receive_seconds + station.limits.seconds),
    )
    # The web server raises the signals that it was told to stop by once more at its end; that must not be an error.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    shown = "127.0.0.1" if host in ("", "0.0.0.0") else f"[{host}]" if ":" in host else host  # noqa: S104 - compared only
    announce(f"{'http' if certificate is None else 'https'}://{shown}:{listener.getsockname()[1]}/")
    with listener:
        _Server(config, station).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"{host}:{port} cannot be listened on ({reason}); choose another --host or --port."
        ) from None
