"""A real `korsal-edge run` for the tests of faults, and what an independent subscriber has of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from paho.mqtt.client import Client
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.support import described_messages
from tests.support.broker import Subscriber
from tests.support.paths import ROOT
from tests.support.tiny_model import write_tiny_model
from tests.support.waiting import PATIENCE, wait_for

BASE = "korsal/roof"
SUBSCRIBED = (
    "+/actions/#",
    "+/state",
    "+/active",
    "events/#",
    "response/#",
    "available",
    "status",
    "telemetry",
    "lost",
)
LONG = 60.0  # seconds; on a busy machine
QUICK_EVENTS = "[actions.default]\nstart_score = 0.5\nkeep_score = 0.3\ncooldown = 0.3\nupdate_interval = 0.1\n"
RECORD = Callable[[str, object], None]  # pytest's `record_property`


class Daemon:
    """One that watches cameras with a model of some kilobytes. `more`: further lines of its configuration.

    `prefix`: a command that runs it. What it says goes to a file. It may be started several times.
    """

    def __init__(self, folder: Path, port: int, cameras: dict[str, str], more: str = QUICK_EVENTS) -> None:
        self.folder = folder
        self.outbox = folder / "state" / "roof.outbox.sqlite"
        self.config = folder / "config.toml"
        self.prefix: Sequence[str] = ()
        self.environment: dict[str, str] = {}
        self._log = folder / "daemon.log"
        self._log.touch()
        self._process: subprocess.Popen[bytes] | None = None
        write_tiny_model(folder / "tiny.onnx")
        tables = "".join(
            f'[cameras.{name}]\nsource = "{source}"\nstall_seconds = 1\n' for name, source in cameras.items()
        )
        self.config.write_text(
            '[device]\nname = "roof"\n[model]\npath = "tiny.onnx"\nthreads = 1\nruntime = "onnxruntime"\n'
            f'[telemetry]\ninterval = 0.2\n[outbox]\ndirectory = "state"\n{tables}{more}'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\nkeepalive = 5\n'
        )

    def edit(self, old: str, new: str) -> None:
        """Change the configuration's text."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    def start(self) -> "Daemon":
        command = [*self.prefix, sys.executable, "-m", "edge", "run", "--config", str(self.config)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **self.environment}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, env=environment, stderr=log)
        return self

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_for_log(self, words: str, times: int = 1) -> None:
        """Wait until its log contains it."""
        wait_for(lambda: self.log.count(words) >= times, f"{words!r} in {self._log}", LONG)

    def capture_process(self) -> int:
        """The one child that there is."""
        found: list[int] = []
        wait_for(lambda: found.extend(self._children()) or found, "a capture process", LONG)
        return found[0]

    def _children(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """As systemd does; it must end well, in the time that systemd gives."""
        self.signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0, self.log

    def __enter__(self) -> "Daemon":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        if kind is None:
            assert "Traceback" not in self.log, self.log


class Witness(Subscriber):
    """A subscriber that knows how often it has subscribed, and what is missing of what it has heard.

    It listens to what the device says, not to what it is asked. All of it must be as docs/asyncapi.json
    describes it, which is looked at in the end.
    """

    def __init__(self, port: int) -> None:
        self.subscriptions, self.port = 0, port
        super().__init__(port)

    def _on_connect(self, client: Client, *_: Any) -> None:
        client.subscribe([(f"{BASE}/{topic}", SubscribeOptions(qos=1, retainAsPublished=True)) for topic in SUBSCRIBED])

    def _on_subscribe(self, *report: Any) -> None:
        self.subscriptions += 1
        super()._on_subscribe(*report)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if kind is None:
            described_messages.check(self.messages)

    def telemetry(self) -> dict[str, Any]:
        """The newest."""
        self.wait_for_topic(f"{BASE}/telemetry")
        found: dict[str, Any] = json.loads(self.payloads(f"{BASE}/telemetry")[-1])
        return found

    def processed(self, camera: str = "door") -> int:
        """How many frames the newest telemetry counts."""
        return int(self.telemetry()["frames"].get(camera, 0))

    def wait_for_frames(self, count: int, camera: str = "door") -> None:
        """Wait until so many more have been processed."""
        before = self.processed(camera)
        wait_for(lambda: self.processed(camera) >= before + count, f"frames of {camera}", LONG)

    def steps(self) -> dict[str, list[tuple[str, int]]]:
        """Kind and number of each event's steps in the order in which they first came, by its id."""
        found: dict[str, dict[tuple[str, int], None]] = defaultdict(dict)
        for event in self.events():
            found[event["event_id"]][event["type"], event["seq"]] = None
        return {number: list(steps) for number, steps in found.items()}

    def ends(self) -> list[str]:
        """Why events have ended, the oldest first."""
        return [event["reason_ended"] for event in self.events() if event["type"] == "end"]

    def nothing_is_missing(self) -> None:
        """Of every event all steps have come, in order, from `new` on; only the newest may still go on."""
        steps_by_event = self.steps()
        assert steps_by_event
        for steps in steps_by_event.values():
            assert [seq for _, seq in steps] == list(range(len(steps))), steps_by_event
            assert [kind for kind, _ in steps].index("new") == 0
        for camera in {event["camera"] for event in self.events()}:
            mine = dict.fromkeys(event["event_id"] for event in self.events() if event["camera"] == camera)
            for number in list(mine)[:-1]:
                assert steps_by_event[number][-1][0] == "end", steps_by_event

    def wait_for_new_steps(self, camera: str = "door") -> None:
        """Wait for steps of an event in front of this camera, taken from now on: detection goes on and is told."""
        now = time.time()
        wait_for(
            lambda: any(fresh(one, camera, now) for one in self.events()),
            f"news of {camera}",
            LONG,
        )

    def camera_is(self, state: str, camera: str = "door") -> None:
        """Wait until it is."""
        topic = f"{BASE}/{camera}/state"
        wait_for(lambda: self.payloads(topic)[-1:] == [state.encode()], f"{camera} to be {state}", LONG)


def fresh(event: dict[str, Any], camera: str, since: float) -> bool:
    """A step that a frame of after this moment led to."""
    return bool(event["camera"] == camera and event["type"] != "end" and event["t_capture"] > since)


@contextmanager
def timed(record: RECORD, name: str) -> Iterator[None]:
    """Write down how many seconds this takes, for docs/reliability.md: pytest --junitxml=FILE."""
    began = time.monotonic()
    yield
    record(name, f"{time.monotonic() - began:.1f}")
