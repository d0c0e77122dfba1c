"""What the daemon says: everything that happens becomes messages for the publisher. Shell: reads the clock."""

import time
from collections.abc import Mapping, Sequence

from edge import __version__
from edge.broker import discovery_file, home_assistant, topics
from edge.broker.message import Message
from edge.broker.payload import ModelIdentity, event_payload, retimed
from edge.broker.publisher import Publisher
from edge.config.config_file import fingerprint, state_directory
from edge.config.schema import Config
from edge.events import Event
from edge.presence import PeopleCount
from edge.sensors import clock
from edge.service.settings import topics as configured_topics
from edge.sources import Frame
from edge.video import text_rendering
from edge.video.snapshot import snapshot


class Announcer:
    """Builds payloads and hands them on; never waits."""

    def __init__(self, config: Config, model: ModelIdentity, labels: Sequence[str], publisher: Publisher) -> None:
        self.topics = configured_topics(config)
        self._publisher = publisher
        self._device, self._max_age, self._mqtt = config.device.name, config.outbox.max_age, config.mqtt
        self._model, self._labels = model, labels
        if self._mqtt.snapshots:
            text_rendering.find_fonts(labels)
        self._cameras: tuple[str, ...] | None = None  # that Home Assistant has been told of
        self._announced = state_directory(config.outbox) / f"{config.device.name}.discovery.json"

    def events(self, camera: str, happened: Sequence[Event], frame: Frame | None = None, live: bool = False) -> None:
        """One camera's events, stored before they are sent; `frame`: that led to them, for pictures.

        Where the camera is `live`, the way from the frame to the broker's acknowledgement is timed. The pictures come
        last: one that cannot be made costs no step of any event.
        """
        pictures: list[tuple[str, Frame, Event]] = []
        for event in happened:
            unix, monotonic = time.time(), time.monotonic()
            synced = clock.synced(unix)
            place = self.topics.snapshot(camera, event.action) if self._mqtt.snapshots else None
            payload = event_payload(
                retimed(event, unix, monotonic), self._device, camera, self._model, unix, place, synced
            )
            captured = frame.monotonic_time if live and frame is not None else None
            self._publisher.publish_event(
                Message(
                    self.topics.event(camera, event.action), topics.encode(payload), event.event_id, event.seq,
                    event.type, clock.expiry(unix, self._max_age, synced), captured,
                )
            )  # fmt: skip
            if place is not None and frame is not None and event.type == "new":
                pictures.append((place, frame, event))
        for picture in pictures:
            self._picture(*picture)

    def snapshot(self, camera: str, frame: Frame) -> None:
        """What a camera sees, because somebody asked for it."""
        self._picture(self.topics.snapshot(camera), frame, None)

    def camera_state(self, camera: str, state: str) -> None:
        """Online, stalled or offline."""
        self._publisher.publish_retained(self.topics.state(camera), state.encode())

    @property
    def people_score(self) -> float:
        """What someone without an event must score to be counted, 0..1."""
        return self._mqtt.people_score

    def active(self, camera: str, running: Mapping[str, int]) -> None:
        """How many events are running in front of a camera, by action."""
        self._publisher.publish_retained(
            self.topics.active(camera), topics.encode(topics.active_payload(self._labels, running))
        )

    def people(self, camera: str, people: PeopleCount) -> None:
        """How many people are in front of a camera."""
        payload = topics.people_payload(people.active, people.other, self.people_score)
        self._publisher.publish_retained(self.topics.people(camera), topics.encode(payload), qos=0)

    def clear_retained(self, camera: str) -> None:
        """Clear what is retained of a camera that there is no more."""
        for topic in (self.topics.state(camera), self.topics.active(camera), self.topics.people(camera)):
            self._publisher.publish_retained(topic, b"")
        if self._mqtt.snapshots:
            for action in (None, *self._labels):
                self._publisher.publish_picture(self.topics.snapshot(camera, action), b"")

    def status(self, config: Config, needs_restart: Sequence[str], broker: Mapping[str, object]) -> None:
        """What runs here; to Home Assistant too, where that is wanted."""
        payload = topics.status_payload(
            __version__,
            {"name": self._model.name, "sha256": self._model.sha256},
            self._labels,
            fingerprint(config),
            {name: camera.to_source().redacted for name, camera in config.cameras.items()},
            needs_restart,
            broker,
        )
        self._publisher.publish_retained(self.topics.status, topics.encode(payload))
        cameras = tuple(config.cameras)
        if self._mqtt.discovery and cameras != self._cameras:
            self._cameras = cameras
            self._announce(cameras)

    def telemetry(self, payload: Mapping[str, object]) -> None:
        """How the device is doing, for those who listen now."""
        self._publisher.publish(self.topics.telemetry, topics.encode(payload))

    def _announce(self, cameras: tuple[str, ...]) -> None:
        """Tell Home Assistant what there is, and what of the things it was told of is no more."""
        described = home_assistant.DeviceDescription(
            __version__, self._model.name, tuple(self._labels), cameras, self._mqtt.snapshots
        )
        former = discovery_file.read(self._announced)
        self._publisher.publish_retained(
            *home_assistant.discovery(self.topics, self._mqtt.discovery_prefix, described, former)
        )
        platforms = home_assistant.platforms(home_assistant.components(self.topics, described))
        if platforms != former:
            discovery_file.write(self._announced, platforms)

    def _picture(self, topic: str, frame: Frame, event: Event | None) -> None:
        jpeg = snapshot(frame.image, event, self._mqtt.snapshot_width, self._mqtt.snapshot_quality)
        self._publisher.publish_picture(topic, jpeg, "" if event is None else event.event_id)
