"""Whether a request comes from the service's own page: names of hosts, origins, and what proxies say of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from differnet.server.problems import Problem

__all__ = ["Site", "is_loopback"]

_LOOPBACK_NAMES = ("localhost", "localhost.localdomain")
_PORTS = {"http": 80, "https": 443}
_SAFE = ("GET", "HEAD", "OPTIONS")
# What proxies add; a request that has one of them comes from elsewhere, whatever address it seems to come from.
_FORWARDED = (
    "forwarded",
    "x-real-ip",
    "via",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-cluster-client-ip",
)
_FORWARDED_PREFIX = "x-forwarded-"
_FOREIGN = "Pages of other sites may not use this service."

_Address = tuple[str, int | None]


class Site:
    """Compares what a request says of where it comes from with the names that the service has.

    Args:
        public_names: Host names, with a port where it is not the usual one, by which a proxy makes the service known;
            with any, the service answers to no others than these and this computer's own.
    """

    def __init__(self, public_names: Collection[str] = ()) -> None:
        self._public = {_address(name) for name in public_names}

    def check(self, method: str, headers: Headers, *, open_to_all: bool) -> None:
        """Let a request in or not.

        Args:
            method: Of HTTP.
            headers: Of the request.
            open_to_all: Whether keys are asked for; if not, only this computer's own browser and programs are let in.

        Raises:
            Problem: 400 if its headers cannot be read, 403 if it comes from another site, or from elsewhere.
        """
        hosts = headers.getlist("host")
        if len(hosts) > 1:
            raise Problem(400, "The request names its host more than once; send one Host header.")
        host = _address(hosts[0] if hosts else "")
        if not open_to_all:
            if not is_loopback(host[0]):
                raise Problem(403, f"Without a key the service answers on this computer alone, not as '{host[0]}'.")
            if any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIX) for name in headers):
                raise Problem(
                    403, "Without a key the service answers on this computer alone, not through a proxy; make a key."
                )
        elif self._public and not is_loopback(host[0]) and not any(_same(host, known) for known in self._public):
            raise Problem(403, f"The service is not known as '{host[0]}'; see --public-name.")
        self._check_origin(method, headers, host)

    def _check_origin(self, method: str, headers: Headers, host: _Address) -> None:
        origins = headers.getlist("origin")
        changes = method not in _SAFE
        if changes and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Problem(403, _FOREIGN)
        if not origins or (origins == ["null"] and not changes):
            return
        if len(origins) > 1:
            raise Problem(403, _FOREIGN)
        try:
            parts = urlsplit(origins[0])
            origin = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
        except (ValueError, KeyError):
            raise Problem(403, _FOREIGN) from None
        usual = _PORTS[parts.scheme]
        if not any(origin == (name, port or usual) for name, port in (host, *self._public)):
            raise Problem(403, _FOREIGN)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this computer's own."""
    if host.lower() in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _address(host: str) -> _Address:
    """A host header as a name in lower case and a port."""
    try:
        parts = urlsplit(f"//{host}")
        if parts.netloc != host or "@" in host:
            raise ValueError(host)
        return parts.hostname or "", parts.port
    except ValueError:
        raise Problem(400, "The Host header is not a host name; correct it.") from None


def _same(left: _Address, right: _Address) -> bool:
    return left[0] == right[0] and (left[1] or 0) in (right[1] or 0, *_PORTS.values())
