"""Addresses of receivers, ``SCHEME://USER@HOST:PORT/PATH?OPTION=VALUE``, whatever the scheme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from differnet.errors import SettingsError

__all__ = ["Address", "read_address"]


@dataclass(frozen=True)
class Address:
    """The parts of an address.

    Attributes:
        scheme: In lower case.
        host: Name or number, without the brackets of IPv6.
        port: Port.
        path: Behind the port, without slashes around it.
        user: Empty if none is named.
        options: By name.
    """

    scheme: str
    host: str
    port: int
    path: str
    user: str
    options: Mapping[str, str]


def read_address(text: str, what: str, ports: Mapping[str, int], options: tuple[str, ...], secret: str) -> Address:
    """Take an address apart.

    Args:
        text: The address.
        what: What messages call it: ``The MQTT address``. They tell nothing else of it.
        ports: The usual port of each scheme.
        options: Those that there are.
        secret: The environment variable for the password, which an address must not have.

    Raises:
        SettingsError: If it is none, has a password, or an option that there is not.
    """
    example = f"{next(iter(ports))}://host:{next(iter(ports.values()))}/line1"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ports or any(not each.isprintable() or each.isspace() for each in text):
        raise SettingsError(f"{what} is none; give one such as {example}.")
    if parts.password is not None:
        raise SettingsError(f"{what} must hold no password; give it by {secret}.")
    if parts.fragment:
        raise SettingsError(f"{what} must hold no '#'; write %23 where one belongs into the path.")
    chosen = parse_qsl(parts.query, keep_blank_values=True)
    unknown = sorted({name for name, _ in chosen} - set(options))
    if unknown:
        raise SettingsError(f"{what} has no option '{unknown[0]}'; there are {', '.join(options)}.")
    usual = ports[parts.scheme]
    path = unquote(parts.path.strip("/"))
    return Address(
        parts.scheme, host, usual if port is None else port, path, unquote(parts.username or ""), dict(chosen)
    )
