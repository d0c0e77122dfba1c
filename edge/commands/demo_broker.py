"""A small MQTT broker on loopback and a subscriber to it, for `demo`. Shell.

The broker is amqtt, which speaks MQTT 3.1.1 only.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from concurrent import futures
from types import TracebackType
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

HOST = "127.0.0.1"
PATIENCE = 15.0  # seconds to wait for broker and subscriber
ATTEMPTS = 3  # to find a free port that nobody else takes before the broker does


class DemoError(Exception):
    """The demo cannot run, or an event was lost; the message names the problem and the remedy."""


class EmbeddedBroker:
    """A context manager: a broker in a thread of its own, on a free `port` of loopback."""

    def __init__(self) -> None:
        """Raises DemoError if amqtt is not installed."""
        try:
            from amqtt.broker import Broker
            from amqtt.errors import AMQTTError
        except ImportError as error:
            raise DemoError("amqtt is not installed: pip install 'korsal-edge[cpu,demo]'") from error
        for name in ("amqtt", "transitions"):  # it logs every client that connects and disconnects
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._make: Callable[[dict[str, Any]], Any] = Broker
        self._errors = (OSError, futures.TimeoutError, AMQTTError)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="demo-broker", daemon=True)
        self._broker: Any = None
        self.port = 0

    def __enter__(self) -> "EmbeddedBroker":
        self._thread.start()
        last_error: Exception | None = None
        for _ in range(ATTEMPTS):
            self.port = _free_port()
            try:
                self._wait_for(self._start())
                return self
            except self._errors as error:
                last_error = error
        self._end_loop()
        raise DemoError(f"no broker could be started on {HOST} ({last_error}); see that loopback is up") from last_error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._wait_for(self._broker.shutdown())
        except futures.TimeoutError:
            logging.getLogger(__name__).warning("the demo's broker does not stop; it ends with this process")
        finally:
            self._end_loop()

    async def _start(self) -> None:
        """Start the broker inside its event loop."""
        self._broker = self._make(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{self.port}"}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        await self._broker.start()

    def _wait_for(self, work: Any) -> None:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            future.result(PATIENCE)
        except futures.TimeoutError:
            future.cancel()
            raise

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        if not self._thread.is_alive():
            self._loop.close()


class Subscriber:
    """A context manager: a subscriber that calls `receive` in its own thread with every message of `pattern`."""

    def __init__(self, port: int, pattern: str, receive: Callable[[MQTTMessage], None]) -> None:
        self._port, self._pattern = port, pattern
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _, __, message: receive(message)

    def __enter__(self) -> "Subscriber":
        """Raises DemoError if the broker does not answer."""
        try:
            self._client.connect(HOST, self._port)
        except OSError as error:
            raise DemoError(f"the demo's broker on {HOST}:{self._port} does not answer ({error}); try again") from error
        self._client.loop_start()
        if not self._ready.wait(PATIENCE):
            self._client.loop_stop()
            raise DemoError(f"the demo's broker on {HOST}:{self._port} is silent; try again")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Client, *_: object) -> None:
        client.subscribe(self._pattern, qos=1)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port
