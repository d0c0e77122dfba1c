"""Announces the device to Home Assistant where that is configured, and withdraws former announcements. Shell."""

from edge.broker import discovery_file
from edge.broker.discovery_file import Announced
from edge.broker.home_assistant import components, discovery, discovery_topic, remembered
from edge.broker.home_entities import DeviceDescription
from edge.broker.publisher import Publisher
from edge.broker.topics import Topics
from edge.config.config_file import state_directory
from edge.config.schema import MqttConfig, OutboxConfig


class HomeAnnouncement:
    """The one discovery message of this device, published anew when its cameras change."""

    def __init__(self, topics: Topics, mqtt: MqttConfig, outbox: OutboxConfig, publisher: Publisher) -> None:
        self._topics, self._publisher, self._wanted = topics, publisher, mqtt.discovery
        self._topic = discovery_topic(topics, mqtt.discovery_prefix)
        self._file = state_directory(outbox) / f"{topics.device}.discovery.json"
        self._cameras: tuple[str, ...] | None = None  # last announced

    def announce(self, described: DeviceDescription) -> None:
        """Publish what is new of it; the first call withdraws what former runs announced and is wanted no longer."""
        if described.cameras == self._cameras:
            return
        announced = discovery_file.read(self._file)
        if self._cameras is None and announced.platforms:
            self._withdraw(announced.topic or self._topic)
        self._cameras = described.cameras
        if not self._wanted:
            return
        self._publisher.publish_retained(self._topic, discovery(self._topics, described, announced.platforms))
        known = remembered(components(self._topics, described), announced.platforms)
        if (now := Announced(self._topic, known)) != announced:
            discovery_file.write(self._file, now)

    def _withdraw(self, topic: str) -> None:
        """Empty a topic, unless the announcement there is about to be renewed."""
        if not self._wanted:
            discovery_file.remove(self._file)
        elif topic == self._topic:
            return
        self._publisher.publish_retained(topic, b"")
