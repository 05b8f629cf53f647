"""The certificate by which the service speaks HTTPS."""

from __future__ import annotations

import logging
import ssl
from contextlib import suppress
from pathlib import Path

from differnet.errors import SettingsError

__all__ = ["check_certificate"]

_log = logging.getLogger(__name__)

# OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
_INVALID_NOW = {9: "is not valid yet", 10: "has expired"}


def check_certificate(chain: Path, key: Path) -> None:
    """See that a certificate can be used; the log is told if browsers will refuse it for its dates.

    Args:
        chain: The certificate and those that sign it, in PEM.
        key: Its private key, in PEM, without password.

    Raises:
        SettingsError: If it cannot be used.
    """
    try:
        if any(file.exists() and not file.is_file() for file in (chain, key)):  # reading a pipe may never end
            raise ValueError("not an ordinary file")
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(chain, key, password=_no_password)
    except (OSError, ValueError) as error:  # of which ssl.SSLError is one
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise SettingsError(
            f"The certificate {chain} with the key {key} cannot be used ({reason}); give both in PEM, without password."
        ) from None
    if fault := _INVALID_NOW.get(_verify_code(server, chain)):
        _log.warning("The certificate %s %s: browsers will refuse it; renew it, or set the clock.", chain, fault)


def _verify_code(server: ssl.SSLContext, chain: Path) -> int:
    """What a client that trusts this certificate says of it, by OpenSSL's number; 0 if nothing.

    Python reads dates out of a certificate only once a connection has been made by it: one within memory.
    """
    client = ssl.create_default_context(cafile=str(chain))
    client.check_hostname = False
    # Nothing stricter, as newer Pythons are: what else they find fault with would hide the dates.
    client.verify_flags = ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (asking, answering, asking):
        try:
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
        except ssl.SSLCertVerificationError as error:
            return error.verify_code
        except ssl.SSLError:
            return 0
    return 0


def _no_password() -> str:
    raise ValueError("the key has a password")
