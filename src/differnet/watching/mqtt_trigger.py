"""A trigger by MQTT: a frame for each message of a topic."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from differnet.errors import MissingExtraError, SettingsError
from differnet.installing import install_extra
from differnet.sinks.address import read_address
from differnet.sinks.mqtt import OPTIONS, PORTS, tls_context
from differnet.watching.triggers import Asked

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

__all__ = ["MqttTrigger"]


class MqttTrigger(Asked):
    """Takes a frame for each message, whatever is in it, but for retained ones, which are of earlier times.

    By QoS 0: what comes late would show another part. A broker that is away is looked for again and again.

    Args:
        address: ``mqtt://USER@BROKER/TOPIC`` or ``mqtts://``, with the options of `differnet.sinks.MqttSink`.
        password: The user's.
        warn: Hears of a broker that is away, or lets nobody in; once until it is back.

    Raises:
        SettingsError: If it is no address, or names no topic.
        MissingExtraError: If paho-mqtt is not installed.
    """

    def __init__(
        self, address: str, password: str | None = None, warn: Callable[[str], None] = lambda message: None
    ) -> None:
        try:
            from paho.mqtt import client as mqtt  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError(f"MQTT needs paho-mqtt. Run: {install_extra('mqtt')}") from None
        super().__init__()
        parts = read_address(address, "The trigger's address", PORTS, OPTIONS, "DIFFERNET_MQTT_PASSWORD")
        if not parts.path:
            raise SettingsError("The trigger's address names no topic; give one such as mqtt://broker/line1/trigger.")
        self._host, self._port, self._topic = parts.host, parts.port, parts.path
        self._warn = warn
        self._warned = False
        name = parts.options.get("client") or f"differnet-trigger-{uuid.uuid4().hex[:12]}"
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        self._client.reconnect_delay_set(1, 5)
        tls = tls_context(parts)
        if tls is not None:
            self._client.tls_set_context(tls)
        if parts.user:
            self._client.username_pw_set(parts.user, password)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = lambda *_: self._away("is not there")
        self._client.on_disconnect = lambda *_: self._away("has gone away")
        self._client.on_message = self._on_message

    def open(self) -> None:
        """Begin to listen."""
        self._client.connect_async(self._host, self._port, keepalive=15)
        self._client.loop_start()

    def close(self) -> None:
        """Listen no more."""
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Client, _data: object, _flags: object, reason: ReasonCode, _about: object) -> None:
        if reason.is_failure:
            self._away(f"lets nobody in ({reason})")
            return
        self._warned = False
        client.subscribe(self._topic, qos=0)

    def _on_message(self, _client: object, _data: object, message: MQTTMessage) -> Any:  # noqa: ANN401 - unused
        if not message.retain:
            self.ask()

    def _away(self, how: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(f"MQTT: {self._host} {how}; triggers wait for it, and it is looked for again and again.")
