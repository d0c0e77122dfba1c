"""A real mosquitto on a free port of loopback, and a subscriber of our own, for the tests."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions
from typing_extensions import Self

from tests.support.ports import free_port
from tests.support.waiting import wait_for


def mosquitto() -> str:
    """The program's path; skips the test where it is absent."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    return found


class Broker:
    """One mosquitto in a folder of its own. `settings`: further lines of its configuration."""

    def __init__(self, folder: Path, settings: str = "allow_anonymous true", port: int | None = None) -> None:
        self.port = port or free_port()
        self._program = mosquitto()
        self._file = folder / f"mosquitto-{self.port}.conf"
        self._log = self._file.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(settings)

    def configure(self, settings: str) -> None:
        """Take effect at the next start."""
        user = "user root\n" if os.geteuid() == 0 else ""
        self._file.write_text(f"listener {self.port} 127.0.0.1\npersistence false\n{user}{settings}\n")

    def start(self) -> "Broker":
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([self._program, "-c", str(self._file)], stdout=log, stderr=log)
        wait_for(self._listens, f"mosquitto: {self._log.read_text()}")
        return self

    def stop(self) -> None:
        """At once, as if the power had failed."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def reload(self) -> None:
        """Read passwords and permissions again."""
        self._signal(signal.SIGHUP)

    def freeze(self) -> None:
        """It is there, and says nothing any more."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _listens(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            pytest.fail(f"mosquitto ended: {self._log.read_text()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self) -> "Broker":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Relay:
    """Passes bytes between clients and a broker, until it cuts them off."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections; new ones are welcome."""
        with self._lock:
            for end in self._open:
                with contextlib.suppress(OSError):  # the other side has gone already
                    end.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def greet(self, client: socket.socket) -> bytes | None:
        """What the client has said so far; None for one that is not let in."""
        return b""

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            hello = self.greet(client)
            if hello is None:
                continue
            broker = socket.create_connection(("127.0.0.1", self._target))
            broker.sendall(hello)
            with self._lock:
                self._open += [client, broker]
            for source, target in ((client, broker), (broker, client)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(4096):
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()


class Subscriber:
    """Listens to everything on a broker, retained messages as they were published."""

    def __init__(self, port: int, version: Literal[3, 5] = 5, username: str | None = None, password: str = "") -> None:
        self.messages: list[MQTTMessage] = []
        self._ready = False
        protocol = MQTTProtocolVersion.MQTTv5 if version == 5 else MQTTProtocolVersion.MQTTv311
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=protocol)
        self._client.reconnect_delay_set(0.05, 0.1)  # type: ignore[arg-type]
        if username is not None:
            self._client.username_pw_set(username, password)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = lambda _, __, message: self.messages.append(message)
        self._version = version
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        wait_for(self.ready, "the subscriber's connection")

    def ready(self) -> bool:
        return self._ready

    def _on_connect(self, client: Client, _: Any, __: Any, ___: Any, ____: Any) -> None:
        if self._version == 5:
            client.subscribe("#", options=SubscribeOptions(qos=1, retainAsPublished=True))
        else:
            client.subscribe("#", qos=1)

    def _on_subscribe(self, _: Client, __: Any, ___: int, ____: Any, _____: Any) -> None:
        self._ready = True

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1, not retained."""
        self._client.publish(topic, payload, qos=1)

    def on(self, topic: str) -> list[MQTTMessage]:
        """What has come on one topic, the oldest first."""
        return [message for message in list(self.messages) if message.topic == topic]

    def payloads(self, topic: str) -> list[bytes]:
        return [bytes(message.payload) for message in self.on(topic)]

    def events(self) -> list[dict[str, Any]]:
        """All events, as they came."""
        return [json.loads(message.payload) for message in list(self.messages) if "/actions/" in message.topic]

    def json_on(self, topic: str) -> list[Any]:
        return [json.loads(payload) for payload in self.payloads(topic)]

    def wait_for_topic(self, topic: str) -> None:
        """Until something has come on that topic."""
        wait_for(lambda: self.on(topic), f"a message on {topic}")

    def wait_for_payload(self, topic: str, payload: bytes) -> None:
        """Until the newest on that topic is this."""
        wait_for(lambda: self.payloads(topic)[-1:] == [payload], f"{payload!r} on {topic}: {self.payloads(topic)}")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
