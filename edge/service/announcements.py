"""Turns what happens in the daemon into MQTT messages: events, states, status, telemetry. Shell: reads the clock."""

import time
from collections.abc import Mapping, Sequence

from edge import __version__
from edge.broker.home_entities import DeviceDescription
from edge.broker.message import Message
from edge.broker.payload import ModelIdentity, event_payload, retimed
from edge.broker.publisher import Publisher
from edge.broker.topics import Topics, active_payload, encode, people_payload, status_payload, thresholds_payload
from edge.config.config_file import fingerprint
from edge.config.schema import Config, MqttConfig, OutboxConfig
from edge.event_settings import EventSettings
from edge.events import Event, EventState
from edge.history.doubts import Watched
from edge.history.history import History
from edge.history.second_linker import Linked
from edge.people_count import PeopleCount
from edge.pipeline import PipelineSettings, StepResult
from edge.sensors import clock
from edge.service.home_announcement import HomeAnnouncement
from edge.sources import Frame
from edge.video import text_rendering
from edge.video.snapshot import snapshot


class Announcer:
    """Builds payloads and hands them to the publisher; never waits."""

    def __init__(
        self,
        topics: Topics,
        mqtt: MqttConfig,
        outbox: OutboxConfig,
        model: ModelIdentity,
        labels: Sequence[str],
        publisher: Publisher,
        history: History | None = None,
    ) -> None:
        self.topics, self._mqtt, self._max_age = topics, mqtt, outbox.max_age
        self._publisher, self._history = publisher, history
        self._model, self._labels = model, labels
        if self._mqtt.snapshots:
            text_rendering.find_fonts(labels)
        self._home = HomeAnnouncement(topics, mqtt, outbox, publisher)

    def events(self, camera: str, happened: Sequence[Event], frame: Frame | None = None, live: bool = False) -> None:
        """Publish one camera's events, which are stored before they are sent; `frame`: that led to them, for snapshots.

        Where the camera is `live`, the time from the frame to the broker's acknowledgement is measured. Snapshots come
        last: one that fails costs no step of any event.
        """
        snapshots: list[tuple[str, Frame, Event]] = []
        for event in happened:
            unix, monotonic = time.time(), time.monotonic()
            synced = clock.synced(unix)
            snapshot_topic = self.topics.snapshot(camera, event.action) if self._mqtt.snapshots else None
            payload = event_payload(
                retimed(event, unix, monotonic), self.topics.device, camera, self._model, unix, snapshot_topic, synced,
                self._mqtt.tubes,
            )  # fmt: skip
            if self._history is not None:
                self._history.step(payload, unix)
            captured = frame.monotonic_time if live and frame is not None else None
            self._publisher.publish_event(
                Message(
                    self.topics.event(camera, event.action), encode(payload), event.event_id, event.seq,
                    event.type, clock.expiry(unix, self._max_age, synced), captured,
                )
            )  # fmt: skip
            if snapshot_topic is not None and frame is not None and event.type == "new":
                snapshots.append((snapshot_topic, frame, event))
        if frame is None and self._history is not None:
            self._history.no_more_frames(camera)
        for arguments in snapshots:
            self._publish_snapshot(*arguments)

    def frame(self, frame: Frame, state: EventState, result: StepResult, settings: PipelineSettings) -> None:
        """Keep what belongs to open events and doubts in the history, where there is one; `state`: after the frame."""
        if self._history is not None:
            linked = Linked(result.detections, settings.linker, state)
            self._history.frame(frame, state, Watched(result.tube_boxes, self._labels, settings.events, linked))

    def snapshot(self, camera: str, frame: Frame) -> None:
        """Publish a camera's frame, because a request asks for it."""
        self._publish_snapshot(self.topics.snapshot(camera), frame, None)

    def camera_state(self, camera: str, state: str) -> None:
        """Publish that a camera is online, stalled, offline or disabled."""
        self._publisher.publish_retained(self.topics.state(camera), state.encode())

    @property
    def people_score(self) -> float:
        """The score from which a person without an event counts, 0..1."""
        return self._mqtt.people_score

    def active(self, camera: str, running: Mapping[str, int]) -> None:
        """Publish the number of a camera's open events, by action."""
        self._publisher.publish_retained(self.topics.active(camera), encode(active_payload(self._labels, running)))

    def thresholds(self, camera: str, settings: EventSettings) -> None:
        """Publish the scores at which a camera's events begin and continue."""
        payload = encode(thresholds_payload(self._labels, settings))
        self._publisher.publish_retained(self.topics.thresholds(camera), payload)

    def people(self, camera: str, people: PeopleCount) -> None:
        """Publish the number of people in front of a camera."""
        payload = people_payload(people.active, people.other, self.people_score)
        self._publisher.publish_retained(self.topics.people(camera), encode(payload), qos=0)

    def clear_retained(self, camera: str) -> None:
        """Clear the retained messages of a camera that is no longer configured."""
        topics = self.topics
        for topic in (topics.state, topics.active, topics.people, topics.thresholds):
            self._publisher.publish_retained(topic(camera), b"")
        if self._mqtt.snapshots:
            for action in (None, *self._labels):
                self._publisher.publish_snapshot(self.topics.snapshot(camera, action), b"")

    def status(self, config: Config, needs_restart: Sequence[str], broker: Mapping[str, object]) -> None:
        """Publish what is running, and announce it to Home Assistant where that is configured."""
        payload = status_payload(
            __version__,
            {"name": self._model.name, "sha256": self._model.sha256},
            self._labels,
            fingerprint(config),
            {name: camera.to_source().redacted for name, camera in config.cameras.items()},
            needs_restart,
            broker,
        )
        self._publisher.publish_retained(self.topics.status, encode(payload))
        self._home.announce(
            DeviceDescription(
                __version__,
                self._model.name,
                tuple(self._labels),
                tuple(config.cameras),
                self._mqtt.snapshots,
                self._mqtt.allow_camera_switch,
                self._mqtt.allow_remote_config,
            )
        )

    def telemetry(self, payload: Mapping[str, object]) -> None:
        """Publish the telemetry; it is neither stored nor retained."""
        self._publisher.publish(self.topics.telemetry, encode(payload))

    def _publish_snapshot(self, topic: str, frame: Frame, event: Event | None) -> None:
        jpeg = snapshot(frame.image, event, self._mqtt.snapshot_width, self._mqtt.snapshot_quality)
        self._publisher.publish_snapshot(topic, jpeg, "" if event is None else event.event_id)
