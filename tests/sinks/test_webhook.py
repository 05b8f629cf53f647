"""A receiver that is none says nothing that a terminal obeys, nor more than can be read."""

from __future__ import annotations

import socket
import threading

from differnet.sinks.delivering import Delivery
from differnet.sinks.webhook import WebhookSink


def test_what_a_foreign_receiver_says_is_told_shortly_and_in_plain_letters() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"\x1b[2J\x07" + b"x" * 5000 + b"\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        said = WebhookSink(f"http://127.0.0.1:{listener.getsockname()[1]}/").deliver(b"{}", "1")
        thread.join()
    assert said.delivery is Delivery.FAILED
    assert said.reason.isprintable()
    assert "xxx" in said.reason
    assert len(said.reason) < 300
