"""Results published to an MQTT 5 broker."""

from __future__ import annotations

import json
import ssl
import threading
import time
import uuid
from collections.abc import Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from differnet.errors import MissingExtraError, SettingsError
from differnet.installing import install_extra
from differnet.sinks.address import Address, read_address
from differnet.sinks.delivering import Answer, DeliveringSink, Delivery, in_words
from differnet.sinks.rows import COLUMNS

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

__all__ = ["OPTIONS", "PORTS", "MqttSink", "tls_context"]

PORTS = {"mqtt": 1883, "mqtts": 8883}
"""Schemes of addresses, with their usual ports."""

OPTIONS = ("ca", "cert", "key", "client")
"""What may stand behind the ``?`` of an address."""

_KEEP_ALIVE = 15
"""Seconds after which broker and client notice at the latest, by half as much again, that the other is gone."""

_REFUSALS = ("Packet too large", "Payload format invalid", "Topic name invalid")
"""Answers that another attempt would not change. Whoever may not publish yet may be allowed to: that is tried again."""


class MqttSink(DeliveringSink):
    """Publishes every result as a JSON object, QoS 1, one after the other: ``mqtts://user@broker:8883/plant/line1``.

    The path is the topic that all begin with. Results go to ``plant/line1/verdict``, with their key as user property
    ``key``; one has arrived when the broker acknowledges it. ``plant/line1/status``, retained, is
    ``{"state": "online", ...}`` while the connection stands, and ``{"state": "offline"}`` afterwards: published at the
    end, and by the broker (last will) where the end came unforeseen.

    Args:
        destination: The address, ``mqtt://`` or, with TLS, ``mqtts://``. Options: ``ca``, a file with the certificates
            of authorities to trust instead of the system's; ``cert`` and ``key``, files with the client's own
            certificate and its key; ``client``, the client's id.
        columns: As for `DeliveringSink`, as are ``patience`` and ``first_wait``.
        token: The user's password.
        timeout: Seconds that an attempt may take.
        patience: See there.
        first_wait: See there.

    Raises:
        SettingsError: If the address is none, or its certificates cannot be used.
        MissingExtraError: If paho-mqtt is not installed.
    """

    name = "mqtt"
    schemes = ("mqtt", "mqtts")
    secret = "DIFFERNET_MQTT_PASSWORD"  # noqa: S105 - a name
    ordered = True
    longest_wait = 5.0

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
            import paho.mqtt.client  # noqa: F401, PLC0415
        except ImportError:
            raise MissingExtraError(f"MQTT needs paho-mqtt. Run: {install_extra('mqtt')}") from None
        self._address = read_address(destination, "The MQTT address", PORTS, OPTIONS, self.secret)
        super().__init__(f"MQTT: {self._address.host}", columns=columns, patience=patience, first_wait=first_wait)
        self._topic = self._address.path or "differnet"
        if any(each in self._topic for each in "+#\0"):
            raise SettingsError(
                "The MQTT address names a topic with + or #, which are for subscribers; leave them out."
            )
        self._tls = tls_context(self._address)
        self._password = token
        self._timeout = timeout
        self._id = self._address.options.get("client") or f"differnet-{uuid.uuid4().hex[:12]}"
        self._connection: _Connection | None = None

    def deliver(self, body: bytes, key: str) -> Answer:
        """Publish once."""
        end = time.monotonic() + self._timeout
        try:
            if self._connection is None or not self._connection.stands:
                self._drop()
                self._connection = _Connection(self._address, self._id, self._password, self._tls, self._topic)
                self._connection.open(end)
            reason = self._connection.publish(f"{self._topic}/verdict", body, end, key=key)
        except (OSError, ValueError) as error:
            self._drop()  # with it, what the broker has not acknowledged: nothing is sent behind our back
            return Answer(Delivery.FAILED, in_words(error))
        if not reason.is_failure:
            return Answer(Delivery.ARRIVED, str(reason))
        return Answer(Delivery.REFUSED if str(reason) in _REFUSALS else Delivery.FAILED, str(reason))

    def close(self) -> None:
        """Say that this was the last, and end the connection."""
        if self._connection is not None and self._connection.stands:
            self._connection.say_goodbye(time.monotonic() + 1.0)
        self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Connection:
    """A client of its own for each connection; one that was lost while nothing was sent is set up anew by itself."""

    def __init__(
        self, address: Address, name: str, password: str | None, tls: ssl.SSLContext | None, topic: str
    ) -> None:
        from paho.mqtt import client as mqtt  # noqa: PLC0415

        self._address = address
        self._status = f"{topic}/status"
        self._changed = threading.Condition()
        self._answers: dict[int, ReasonCode] = {}
        self._greetings: set[int] = set()  # numbers of messages whose answers nobody waits for
        self._connected: ReasonCode | None = None
        self._losses = 0
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        self._client.reconnect_delay_set(1, 30)
        if tls is not None:
            self._client.tls_set_context(tls)
        if address.user:
            self._client.username_pw_set(address.user, password)
        self._client.will_set(self._status, _OFFLINE, qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish

    @property
    def stands(self) -> bool:
        """Whether the broker is there, as far as is known."""
        return self._client.is_connected()

    def open(self, end: float) -> None:
        """Connect.

        Raises:
            OSError: If that fails, or has not succeeded by a time.
        """
        self._client.connect_timeout = max(0.1, min(5.0, end - time.monotonic()))
        self._client.connect(self._address.host, self._address.port, _KEEP_ALIVE, clean_start=True)
        self._client.loop_start()
        reason = self._wait(lambda: self._connected, end)
        if reason.is_failure:
            raise OSError(None, f"it lets nobody in: {reason}")

    def publish(self, topic: str, body: bytes, end: float, *, key: str) -> ReasonCode:
        """Publish, and wait for the broker's word.

        Raises:
            OSError: If the connection ends before, or the word has not come by a time.
            ValueError: If it cannot be published at all.
        """
        from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415
        from paho.mqtt.properties import Properties  # noqa: PLC0415

        about: Any = Properties(PacketTypes.PUBLISH)
        about.PayloadFormatIndicator = 1
        about.ContentType = "application/json"
        about.UserProperty = ("key", key)
        sent = self._client.publish(topic, body, qos=1, properties=about)
        return self._wait(lambda: self._answers.pop(sent.mid, None), end)

    def say_goodbye(self, end: float) -> None:
        """Tell that the end was meant."""
        sent = self._client.publish(self._status, _OFFLINE, qos=1, retain=True)
        try:
            self._wait(lambda: self._answers.pop(sent.mid, None), end)
        except OSError:
            return  # the broker says it in our place
        self._client.disconnect()

    def close(self) -> None:
        """End the connection, without a word if it had not been said before."""
        self._client.on_disconnect = None
        socket = self._client.socket()
        self._client.reconnect_delay_set(3600, 3600)
        self._client.disconnect()
        if socket is not None:
            socket.close()
        self._client.loop_stop()

    def _wait(self, ask: Any, end: float) -> ReasonCode:  # noqa: ANN401 - a function that gives a code or None
        with self._changed:
            losses = self._losses
            while (found := ask()) is None:
                if self._losses != losses:
                    raise ConnectionError(None, "the connection broke")
                if not self._changed.wait(end - time.monotonic()) and time.monotonic() >= end:
                    raise TimeoutError
            answer: ReasonCode = found
            return answer

    def _on_connect(self, client: Client, _data: object, _flags: object, reason: ReasonCode, _about: object) -> None:
        if not reason.is_failure:
            online = json.dumps({"state": "online", "version": version("differnet")})
            self._greetings.add(client.publish(self._status, online, qos=1, retain=True).mid)
        with self._changed:
            self._connected = reason
            self._changed.notify_all()

    def _on_disconnect(self, *_: object) -> None:
        with self._changed:
            self._losses += 1
            self._changed.notify_all()

    def _on_publish(self, _client: Client, _data: object, number: int, reason: ReasonCode, _about: object) -> None:
        with self._changed:
            if number in self._greetings:
                self._greetings.remove(number)
            else:
                self._answers[number] = reason
            self._changed.notify_all()


_OFFLINE = json.dumps({"state": "offline"})


def tls_context(address: Address) -> ssl.SSLContext | None:
    """Make what TLS needs of an address's files; None without TLS.

    Raises:
        SettingsError: If a file cannot be used, or there is one without TLS.
    """
    files = {name: address.options.get(name) for name in ("ca", "cert", "key")}
    if address.scheme != "mqtts":
        if any(files.values()):
            raise SettingsError("Certificates need TLS; begin the MQTT address with mqtts://.")
        return None
    try:
        context = ssl.create_default_context(cafile=files["ca"])
        if files["cert"] or files["key"]:
            context.load_cert_chain(files["cert"] or "", files["key"], password=_no_password)
    except (OSError, ValueError) as error:  # of which ssl.SSLError is one
        raise SettingsError(
            f"The certificates of the MQTT address cannot be used ({in_words(error)}); give files in PEM, the key "
            "without password."
        ) from None
    return context


def _no_password() -> str:
    raise ValueError("the key has a password")
