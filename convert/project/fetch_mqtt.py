"""Clips to teach with over MQTT, asked for piece by piece, where ssh does not reach a device. Shell over paho."""

import argparse
import base64
import binascii
import itertools
import json
import queue
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import ValidationError

from convert.project.fetch import Clip, FetchError, clips_in, place
from convert.project.folders import Project
from edge import files
from edge.broker.credentials import CredentialsError, password, tls_context
from edge.broker.requests import PIECE
from edge.broker.topics import Topics
from edge.config.schema import MqttConfig
from edge.manifest import sentences
from edge.terminal import progress

CONNECT_SECONDS = 20.0
ANSWER_SECONDS, TRIES = 10.0, 3  # requests have QoS 0: one that is lost is asked again
SMALLEST_PIECE = 1024  # bytes
LARGEST_CLIP = 1 << 30  # bytes; more is no clip
MOST_CLIPS = 100_000
GONE = "no clip "  # in the error of a device that has deleted it
TOO_LARGE = "too large for the broker"  # in the error of an answer that its broker would not forward

Ask = Callable[[str, Mapping[str, object]], Mapping[str, Any]]  # op, data → the answer's data; raises FetchError


@dataclass(frozen=True)
class BrokerAccess:
    """How the broker is reached, and the device's name there."""

    settings: MqttConfig
    device: str

    @property
    def topics(self) -> Topics:
        """Those of the device."""
        return Topics(self.settings.base, self.device)

    def __str__(self) -> str:
        return f"{self.device} at {self.settings.host}:{self.settings.port}"


def access(options: argparse.Namespace) -> BrokerAccess:
    """The broker that the command line names. Raises FetchError."""
    host, colon, port = options.mqtt.rpartition(":")
    if not colon or port.endswith("]"):  # [::1] is an address without a port
        host, port = options.mqtt, "8883" if options.ca else "1883"
    given = {"host": host.strip("[]"), "port": int(port) if port.isdecimal() else port, "base": options.base}
    given |= {"username": options.username} if options.username else {}
    given |= {"password_file": options.password_file.resolve()} if options.password_file else {}
    given |= {"tls": {"ca": options.ca.resolve()}} if options.ca else {}
    try:
        return BrokerAccess(MqttConfig.model_validate(given), options.device)
    except ValidationError as error:
        raise FetchError(f"--mqtt {options.mqtt}: {'; '.join(sentences(error))}") from error


def fetch(project: Project, access: BrokerAccess) -> str:
    """Bring what the project lacks; returns what was done. Raises FetchError."""
    with Asker(access) as asker:
        return fetch_by(project, str(access), asker.ask)


def fetch_by(project: Project, where: str, ask: Ask) -> str:
    """Likewise, by whatever asks."""
    clips = list(_listed(ask))
    if not clips:
        raise FetchError(
            f"{where}: holds no clip of a doubt; set keep = true in [teaching] of its config.toml, and wait"
        )
    new = [one for one in clips if not one.target(project).exists()]
    try:
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=project.folder) as arriving:
            shown = progress.track(new, "fetching", "clip", len(new))
            arrived = sum(_bring(project, clip, Path(arriving), ask) for clip in shown)
    except OSError as error:
        place_of = error.filename or project.folder
        raise FetchError(f"{place_of}: cannot be written ({error.strerror}); free space, and fetch again") from error
    cameras = ", ".join(sorted({one.camera for one in clips}))
    return f"{where}: {len(clips)} clips of {cameras}, {arrived} of them new, in {project.folder / 'videos'}/"


def _listed(ask: Ask) -> Iterator[Clip]:
    """All clips that the device has; a name that leads elsewhere is not believed."""
    after, count = "", 0
    while True:
        answer = ask("clips", {"after": after})
        names = [str(one.get("name")) for one in _list(answer.get("clips")) if isinstance(one, dict)]
        yield from clips_in(f"device.teaching/{name}.mp4" for name in names)
        count += len(names)
        if answer.get("more") is not True or not names or max(names) <= after or count > MOST_CLIPS:
            return
        after = max(names)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _bring(project: Project, clip: Clip, incoming: Path, ask: Ask) -> bool:
    """Put it into its place once it has arrived whole; False where the device has deleted it meanwhile."""
    path, length, offset, size = incoming / f"{clip.stem}.mp4", PIECE, 0, 1
    facts: object = {}
    with path.open("wb") as file:
        while offset < size:
            try:
                answer = ask("clip", {"name": clip.stem, "offset": offset, "length": length})
            except FetchError as error:
                if GONE in str(error):
                    return False
                if TOO_LARGE not in str(error) or length <= SMALLEST_PIECE:
                    raise
                length //= 2
                continue
            content, size = _content(answer, clip, offset)
            facts = facts if offset else answer.get("facts", {})
            file.write(content)
            offset += len(content)
    known = json.dumps(facts, ensure_ascii=False).encode(errors="replace")  # half a character pair is none
    files.write_atomically(incoming / f"{clip.stem}.json", known)
    place(project, clip, incoming)
    return True


def _content(answer: Mapping[str, Any], clip: Clip, offset: int) -> tuple[bytes, int]:
    """The bytes of an answer and those of the whole clip. Raises FetchError where that makes no sense."""
    try:
        content, size = base64.b64decode(answer["content"], validate=True), int(answer["bytes"])
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise FetchError(
            f"{clip.stem}: the device answers with no piece of it ({error}); update korsal-edge"
        ) from error
    if not content or answer.get("offset") != offset or not offset + len(content) <= size <= LARGEST_CLIP:
        raise FetchError(f"{clip.stem}: what the device sends does not fit together; fetch again")
    return content, size


class Asker:
    """Asks one device, one request at a time; a context manager."""

    def __init__(self, access: BrokerAccess) -> None:
        self._access, self._topics = access, access.topics
        self._answers: queue.Queue[Mapping[str, Any]] = queue.Queue()
        self._ready, self._refused = threading.Event(), ""
        self._numbers, self._session = itertools.count(1), uuid.uuid4().hex[:12]
        self._client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=True)
        self._client.connect_timeout = CONNECT_SECONDS
        self._client.on_connect, self._client.on_subscribe = self._connected, self._subscribed
        self._client.on_message = self._heard

    def __enter__(self) -> "Asker":
        settings = self._access.settings
        try:
            if settings.tls is not None:
                self._client.tls_set_context(tls_context(settings.tls))
            if settings.username is not None:
                self._client.username_pw_set(settings.username, password(settings))
            self._client.connect(settings.host, settings.port)
        except CredentialsError as error:
            raise FetchError(f"{self._access}: {error}") from error
        except (OSError, ValueError) as error:
            raise FetchError(
                f"{self._access}: the broker cannot be reached ({error}); check --mqtt and --ca"
            ) from error
        self._client.loop_start()
        if not self._ready.wait(CONNECT_SECONDS) or self._refused:
            self.__exit__()
            reason = self._refused or f"no answer within {CONNECT_SECONDS:g} s"
            raise FetchError(f"{self._access}: the broker refuses us ({reason}); check user, password and its rules")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def ask(self, op: str, data: Mapping[str, object]) -> Mapping[str, Any]:
        """The data of the device's answer. Raises FetchError where it refuses, or gives none."""
        for _ in range(TRIES):
            transaction = f"{self._session}-{next(self._numbers)}"
            request = json.dumps({"transaction": transaction, "data": data})
            sent = self._client.publish(self._topics.request(op), request, qos=1)
            answer = self._answer(transaction) if sent.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None
            if answer is not None:
                if answer.get("status") != "ok":
                    raise FetchError(f"{self._access}: {str(answer.get('error'))[:500]}")
                found = answer.get("data")
                return found if isinstance(found, dict) else {}
        raise FetchError(
            f"{self._access}: does not answer; see that it is online ({self._topics.available}), that --device and "
            f"--base are right, and that you may publish to {self._topics.request(op)} and subscribe to its response"
        )

    def _answer(self, transaction: str) -> Mapping[str, Any] | None:
        """The answer to a request; those to others are dropped."""
        while True:
            try:
                answer = self._answers.get(timeout=ANSWER_SECONDS)
            except queue.Empty:
                return None
            if answer.get("transaction") == transaction:
                return answer

    def _connected(self, client: Client, _data: object, _flags: object, reason: ReasonCode, _more: object) -> None:
        if reason.is_failure:
            self._refused = str(reason)
            self._ready.set()
        else:
            client.subscribe([(self._topics.response(op), 1) for op in ("clips", "clip")])

    def _subscribed(self, _client: Client, _data: object, _id: int, reasons: list[ReasonCode], _more: object) -> None:
        self._refused = next((str(one) for one in reasons if one.is_failure), "")
        self._ready.set()

    def _heard(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        try:
            answer = json.loads(message.payload)
        except (ValueError, RecursionError):
            return
        if isinstance(answer, dict) and not message.retain:
            self._answers.put(answer)
