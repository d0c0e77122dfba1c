"""How the device itself is doing: its sensors, what is done against heat, what is told of both. Shell.

For the daemon's loop: nothing here waits.
"""

import time
import uuid
from dataclasses import replace

from edge.broker.message import Message
from edge.broker.topics import Topics
from edge.config.schema import Config
from edge.sensors import clock, host_sensors
from edge.sensors.reading import hottest, reading_payload
from edge.sensors.sensors import Sensors
from edge.sensors.thermal import ThermalSettings, admit, share_to_skip
from edge.service import device_events
from edge.service.device_events import Heat, Moment

LOOK_SECONDS = 1.0  # between two looks at the sensors


class DeviceWatch:
    """Looked after by one thread."""

    def __init__(self, config: Config, topics: Topics, sensors: Sensors | None = None) -> None:
        """`sensors`: None for those of this machine."""
        self._settings: ThermalSettings = config.thermal.settings()
        self._max_age = config.outbox.max_age
        self._topics = topics
        self._sensors = sensors or Sensors()
        self._events = device_events.initial(config.device.name, uuid.uuid4().hex)
        self._heat = Heat(0.0, self._settings.limit)
        self._credit: dict[str, float] = {}  # by camera, of `admit`
        self._skipped: dict[str, int] = {}
        self._looked_at = -LOOK_SECONDS

    def adopt(self, config: Config) -> None:
        """Take over what a reload has changed."""
        self._settings = config.thermal.settings()

    def look(self) -> Message | None:
        """Look at the sensors, once a second; what is to be told of it, if anything."""
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return None
        self._looked_at = time.monotonic()
        found = hottest(self._sensors.newest())
        sensor, celsius = found or (None, None)
        share = share_to_skip(self._heat.skipped, celsius, self._settings)
        self._heat = Heat(share, self._settings.limit, sensor, celsius)
        now = moment()
        self._events, payload = device_events.step(self._events, self._heat, now)
        return self._message(payload, now)

    def admits(self, camera: str) -> bool:
        """Whether the next frame of this camera is to be looked at; ask once for each."""
        taken, self._credit[camera] = admit(self._credit.get(camera, 0.0), self._heat.skipped)
        if not taken:
            self._skipped[camera] = self._skipped.get(camera, 0) + 1
        return taken

    def payload(self) -> dict[str, object]:
        """Keys for the telemetry. `skipped`: frames left out, by camera, since the start."""
        return {
            "clock_synced": clock.synced(),
            "hardware": reading_payload(self._sensors.newest()),
            "process": host_sensors.process(),
            "throttle": {"skipped": round(self._heat.skipped, 3), "limit_c": self._settings.limit},
            "skipped": dict(self._skipped),
        }

    def close(self) -> Message | None:
        """Let the sensors go; the end of what goes on, if anything does."""
        self._sensors.close()
        now = moment()
        self._events, payload = device_events.close(self._events, replace(self._heat, skipped=0.0), now)
        return self._message(payload, now)

    def _message(self, payload: device_events.Payload | None, now: Moment) -> Message | None:
        if payload is None:
            return None
        expires = clock.expiry(now.unix, self._max_age, now.clock_synced)
        return device_events.message(payload, self._topics, expires)


def moment() -> Moment:
    """What the clocks say now."""
    unix = time.time()
    return Moment(unix, time.monotonic(), clock.synced(unix))
