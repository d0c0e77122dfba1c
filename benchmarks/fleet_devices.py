"""What many devices publish, for benchmarks/fleet.py: through real outboxes, or as one paho client each."""

import contextlib
import json
import random
import selectors
import socket
import time
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from edge.broker.message import Message
from edge.broker.outbox import Outbox, OutboxLimits
from edge.broker.publisher import Publisher
from edge.broker.topics import Topics
from edge.config.schema import MqttConfig

SIZE = 850  # bytes of a payload, as events have
MAINTAIN_SECONDS = 0.25  # between two looks at all connections
RETRY = 1.0  # seconds until a synthetic device connects again, give or take half
KEEPALIVE = 60  # seconds


class FleetDevice:
    """A device that publishes events of two steps each; `published`: how many steps so far."""

    def __init__(self, number: int) -> None:
        self.name = f"fleet-{number:05d}"
        self.topics = Topics("korsal", self.name)
        self.published = 0

    def next_step(self) -> Message:
        """Step 0 of an event, and then step 1, stamped with the time."""
        event_id, seq = f"{self.name}-{self.published // 2}", self.published % 2
        self.published += 1
        text = json.dumps({"event_id": event_id, "seq": seq, "sent": time.time()})
        topic = self.topics.event("door", "Fall")
        return Message(topic, text.ljust(SIZE).encode(), event_id, seq, ("new", "end")[seq], time.time() + 3600)


class OutboxDevice(FleetDevice):
    """The product's own way: an outbox on disk, and its publisher."""

    def __init__(self, number: int, port: int, folder: Path) -> None:
        super().__init__(number)
        settings = MqttConfig(host="127.0.0.1", port=port)
        self._publisher = Publisher(settings, self.topics, Outbox(folder / f"{self.name}.sqlite", OutboxLimits()))

    def step(self) -> None:
        """Publish one step."""
        self._publisher.publish_event(self.next_step())

    @property
    def waiting(self) -> int:
        """Steps that no broker has acknowledged yet."""
        return self._publisher.statistics().outbox.rows

    def close(self) -> None:
        """Disconnect; nothing waits any more."""
        self._publisher.close(5.0)


class SyntheticDevice(FleetDevice):
    """A connection of its own; paho keeps what is not acknowledged, and sends it again on the next one."""

    def __init__(self, number: int, port: int, selector: selectors.BaseSelector) -> None:
        super().__init__(number)
        self._port, self._selector = port, selector
        self._client = Client(CallbackAPIVersion.VERSION2, self.name, False, protocol=MQTTProtocolVersion.MQTTv311)
        self._client.max_inflight_messages_set(0)
        self._client.max_queued_messages_set(0)
        self._client.on_socket_close = self._on_socket_close
        self._client.on_publish = self._on_publish
        self.waiting = 0
        self._connect_at = 0.0
        self._watched: socket.socket | None = None

    def step(self) -> None:
        """Publish one step."""
        message = self.next_step()
        self.waiting += 1
        self._client.publish(message.topic, message.payload, qos=1)
        self._watch()

    def maintain(self, now: float) -> None:
        """Connect where there is no connection; keep one alive."""
        if self._client.socket() is not None:
            self._client.loop_misc()
        elif now >= self._connect_at:
            self._connect_at = now + RETRY * random.uniform(0.5, 1.5)
            with contextlib.suppress(OSError):
                self._client.connect("127.0.0.1", self._port, KEEPALIVE)
                self._watch()

    def handle(self, events: int) -> None:
        """Read and write what the socket is ready for."""
        if events & selectors.EVENT_READ:
            self._client.loop_read()
        if events & selectors.EVENT_WRITE and self._client.loop_write() == MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._watch()

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()

    def _watch(self) -> None:
        """Wait for the socket to be readable, and writable while something waits."""
        found: Any = self._client.socket()
        if found is None:
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._client.want_write() else 0)
        if self._watched is None:
            self._watched = found
            self._selector.register(found, wanted, self)
        elif self._selector.get_key(found).events != wanted:
            self._selector.modify(found, wanted, self)

    def _on_socket_close(self, *_: Any) -> None:
        if self._watched is not None:
            self._selector.unregister(self._watched)
            self._watched = None

    def _on_publish(self, *_: Any) -> None:
        self.waiting -= 1


class SyntheticFleet:
    """All synthetic devices, served by one thread."""

    def __init__(self, numbers: range, ports: tuple[int, int]) -> None:
        self._selector = selectors.DefaultSelector()
        self.devices = [SyntheticDevice(number, ports[number % 2], self._selector) for number in numbers]
        self._maintained_at = 0.0  # monotonic, s
        self._next = 0

    @property
    def waiting(self) -> int:
        """Steps that no broker has acknowledged yet."""
        return sum(device.waiting for device in self.devices)

    def step(self) -> None:
        """Let the next device publish a step."""
        self.devices[self._next % len(self.devices)].step()
        self._next += 1

    def serve(self, seconds: float) -> None:
        """Read and write for all of them for so long."""
        until = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if now - self._maintained_at > MAINTAIN_SECONDS:
                self._maintained_at = now
                for device in self.devices:
                    device.maintain(now)
            for key, events in self._selector.select(max(0.0, min(until - now, 0.05))):
                key.data.handle(events)
            if now >= until:
                return

    def close(self) -> None:
        """Disconnect all."""
        for device in self.devices:
            device.close()
        self._selector.close()
