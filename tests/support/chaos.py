"""Broker, gate and subscriber for the tests that kill: what has reached the broker is seen, whatever is killed then.

A broker that forgets may have acknowledged what it has not passed on; no publisher can make good for that. So the
subscriber, whose QoS is 0, hangs directly on the broker, and the publisher is let in only once the subscriber has
subscribed (a gate in between is opened then). mosquitto writes to subscribers before it writes the acknowledgement, and
what is written is in the subscriber's socket even when the broker dies the next moment.
"""

import contextlib
import json
import socket
import threading
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.support.broker import Broker
from tests.support.waiting import PATIENCE, wait_for

SETTINGS = "allow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true"
TOPIC = "korsal/+/+/actions/#"


class Witness:
    """The subscriber: reads as fast as it can, writes nothing but CONNECT and SUBSCRIBE, comes back at once."""

    def __init__(self, port: int) -> None:
        self.arrived: list[dict[str, Any]] = []  # events, in the order in which they came
        self.subscriptions = 0
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.reconnect_delay_set(0.02, 0.05)  # type: ignore[arg-type]
        self._client.on_connect = lambda client, *_: client.subscribe(TOPIC, qos=0)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect_async("127.0.0.1", port, keepalive=0)
        self._client.loop_start()

    def _on_subscribe(self, *_: Any) -> None:
        self.subscriptions += 1

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        self.arrived.append(json.loads(message.payload))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Gate:
    """Passes bytes between the publisher and the broker while it is open; closed, it hangs up on whoever comes."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open = False
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def open(self) -> None:
        with self._lock:
            self._open = True

    def shut(self) -> None:
        """Let nobody in; who is inside hears of it when the broker is gone."""
        with self._lock:
            self._open = False

    def cut(self) -> None:
        """Break all connections; new ones are welcome."""
        with self._lock:
            for end in self._ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            client = self._listener.accept()[0]
            with self._lock, contextlib.suppress(OSError):
                if self._open:
                    self._connect(client)
                    continue
            client.close()

    def _connect(self, client: socket.socket) -> None:
        broker = socket.create_connection(("127.0.0.1", self._target))
        self._ends = [client, broker]
        for source, target in ((client, broker), (broker, client)):
            threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


class Line:
    """A mosquitto without persistence, which can be killed, with its witness and the gate to it."""

    def __init__(self, folder: Path) -> None:
        self._broker = Broker(folder, SETTINGS).start()
        self.witness = Witness(self._broker.port)
        self._gate = Gate(self._broker.port)
        self.port = self._gate.port
        self.broker_port = self._broker.port
        self._let_in(0)

    def cut(self) -> None:
        """Break the connection."""
        self._gate.cut()

    def go_away(self) -> None:
        """Break the connection, and let nobody in until `come_back`."""
        self._gate.shut()
        self._gate.cut()

    def come_back(self) -> None:
        """Let connections in again."""
        self._gate.open()

    def kill_broker(self) -> None:
        """And start another, which knows of nothing."""
        before = self.witness.subscriptions
        self._gate.shut()
        self._broker.stop()
        self._broker.start()
        self._let_in(before)

    def close(self) -> None:
        self.witness.close()
        self._broker.stop()

    def _let_in(self, before: int) -> None:
        wait_for(lambda: self.witness.subscriptions > before, "the witness's subscription", PATIENCE)
        self._gate.open()
