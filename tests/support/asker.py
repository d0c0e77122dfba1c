"""A client that asks a running device, and waits for its answers."""

import json
import time
from types import TracebackType
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.support.broker import Subscriber
from tests.support.real_daemon import BASE
from tests.support.waiting import wait_for

AGAIN = 2.0  # seconds until it asks again: a daemon that has just started misses requests


class Asker:
    """A client of the broker on `port`; `subscriber` is who hears the answers. A context manager."""

    def __init__(self, port: int, subscriber: Subscriber) -> None:
        self._subscriber, self._asked = subscriber, 0
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def ask(self, op: str, data: Any = None) -> Any:
        """The answer to one request."""
        self._asked += 1
        transaction, asked_at = f"{op} {self._asked}", 0.0

        def answers() -> list[dict[str, Any]]:
            nonlocal asked_at
            if time.monotonic() - asked_at > AGAIN:
                request = json.dumps({"transaction": transaction, "data": data})
                self.client.publish(f"{BASE}/request/{op}", request, qos=1)
                asked_at = time.monotonic()
            found = self._subscriber.json_on(f"{BASE}/response/{op}")
            return [answer for answer in found if answer["transaction"] == transaction]

        wait_for(answers, f"the answer to {op}")
        return answers()[0]

    def __enter__(self) -> "Asker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.disconnect()
        self.client.loop_stop()
