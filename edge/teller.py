"""What the daemon says: everything that happens becomes messages for the publisher. Shell: reads the clock."""

import time
from collections.abc import Mapping, Sequence

from edge import __version__, topics
from edge.config import fingerprint
from edge.events import Event
from edge.message import Message
from edge.mqtt import Publisher
from edge.payload import Model, event_payload
from edge.schema import Config
from edge.settings import topics as configured_topics


class Teller:
    """Builds payloads and hands them on; never waits."""

    def __init__(self, config: Config, model: Model, labels: Sequence[str], publisher: Publisher) -> None:
        self.publisher = publisher
        self.topics = configured_topics(config)
        self._device, self._max_age = config.device.name, config.outbox.max_age
        self._model, self._labels = model, labels

    def events(self, camera: str, happened: Sequence[Event]) -> None:
        """One camera's events: stored before they are sent."""
        for event in happened:
            now = time.time()
            payload = event_payload(event, self._device, camera, self._model, now)
            topic, expires = self.topics.event(camera, event.action), now + self._max_age
            self.publisher.event(Message(topic, topics.encode(payload), event.event_id, event.seq, event.type, expires))

    def camera_state(self, camera: str, state: str) -> None:
        """Online, stalled or offline."""
        self.publisher.keep(self.topics.state(camera), state.encode())

    def active(self, camera: str, tube_labels: Sequence[int]) -> None:
        """How many tubes are live in front of a camera, by the label of each."""
        payload = topics.encode(topics.active_payload(self._labels, tube_labels))
        self.publisher.keep(self.topics.active(camera), payload, qos=0)

    def forget(self, camera: str) -> None:
        """Clear what is retained of a camera that there is no more."""
        for topic in (self.topics.state(camera), self.topics.active(camera)):
            self.publisher.keep(topic, b"")

    def status(self, config: Config, needs_restart: Sequence[str]) -> None:
        """What runs here."""
        payload = topics.status_payload(
            __version__,
            {"name": self._model.name, "sha256": self._model.sha256},
            self._labels,
            fingerprint(config),
            {name: camera.described().redacted for name, camera in config.cameras.items()},
            needs_restart,
        )
        self.publisher.keep(self.topics.status, topics.encode(payload))

    def telemetry(self, payload: Mapping[str, object]) -> None:
        """How the device is doing, for those who listen now."""
        self.publisher.tell(self.topics.telemetry, topics.encode(payload))
