"""The device's own state: its sensors, frames skipped against heat, and the events about it. Shell.

Called from the daemon's loop: nothing here waits.
"""

import time
import uuid
from dataclasses import replace

from edge.broker.message import Message
from edge.broker.topics import Topics
from edge.sensors import clock, host_sensors
from edge.sensors.sensor_reader import SensorReader
from edge.sensors.sensor_reading import hottest, reading_payload
from edge.sensors.thermal import ThermalSettings, admit, share_to_skip
from edge.service import device_events
from edge.service.device_events import ClockReading, ThermalState

POLL_SECONDS = 1.0  # between two readings of the sensors


class DeviceMonitor:
    """Polls the sensors and decides which frames to skip; for one thread."""

    def __init__(
        self, settings: ThermalSettings, topics: Topics, max_age: float, sensors: SensorReader | None = None
    ) -> None:
        """`max_age`: seconds after which an event expires; `sensors`: None for those of this machine."""
        self._settings, self._max_age, self._topics = settings, max_age, topics
        self._sensors = sensors or SensorReader()
        self._events = device_events.initial(topics.device, uuid.uuid4().hex)
        self._thermal = ThermalState(0.0, self._settings.limit)
        self._credit: dict[str, float] = {}  # by camera, of `admit`
        self._skipped: dict[str, int] = {}
        self._polled_at = -POLL_SECONDS

    def reconfigure(self, settings: ThermalSettings) -> None:
        """Apply the settings of a reload."""
        self._settings = settings

    def poll(self) -> Message | None:
        """Read the sensors, once a second; the event to publish, if any."""
        if time.monotonic() - self._polled_at < POLL_SECONDS:
            return None
        self._polled_at = time.monotonic()
        found = hottest(self._sensors.newest())
        sensor, celsius = found or (None, None)
        share = share_to_skip(self._thermal.skipped, celsius, self._settings)
        self._thermal = ThermalState(share, self._settings.limit, sensor, celsius)
        now = _read_clocks()
        self._events, payload = device_events.step(self._events, self._thermal, now)
        return self._message(payload, now)

    def admit_frame(self, camera: str) -> bool:
        """Admit the next frame of this camera, or skip it against heat and count that; True where it is admitted."""
        taken, self._credit[camera] = admit(self._credit.get(camera, 0.0), self._thermal.skipped)
        if not taken:
            self._skipped[camera] = self._skipped.get(camera, 0) + 1
        return taken

    def payload(self) -> dict[str, object]:
        """Keys of the telemetry. `skipped`: frames skipped since the start, by camera."""
        return {
            "clock_synced": clock.synced(),
            "hardware": reading_payload(self._sensors.newest()),
            "process": host_sensors.process_usage(),
            "throttle": {"skipped": round(self._thermal.skipped, 3), "limit_c": self._settings.limit},
            "skipped": dict(self._skipped),
        }

    def close(self) -> Message | None:
        """Release the sensors; the end of the open event, if there is one."""
        self._sensors.close()
        now = _read_clocks()
        self._events, payload = device_events.close(self._events, replace(self._thermal, skipped=0.0), now)
        return self._message(payload, now)

    def _message(self, payload: device_events.Payload | None, now: ClockReading) -> Message | None:
        if payload is None:
            return None
        expires = clock.expiry(now.unix, self._max_age, now.clock_synced)
        return device_events.message(payload, self._topics, expires)


def _read_clocks() -> ClockReading:
    unix = time.time()
    return ClockReading(unix, time.monotonic(), clock.synced(unix))
