"""Ten seconds of telemetry for a report: the running service's own, else this machine's sensors. Shell."""

import json
import queue
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge import threads
from edge.broker.credentials import CredentialsError
from edge.config.schema import Config, MetricsConfig
from edge.doctor.broker import log_in
from edge.sensors import host_sensors
from edge.sensors.sensor_reader import SensorReader
from edge.sensors.sensor_reading import reading_payload
from edge.service.settings import topics
from edge.threads import ThreadError

SECONDS = 10.0
LONGEST_INTERVAL = 60.0  # seconds between two messages for which a report waits
PAGE_SECONDS = 5.0  # for the page to answer
PAGE_BYTES = 1 << 20


def sample(config: Config | None, seconds: float = SECONDS) -> Iterator[str]:
    """Where the numbers come from, then the numbers, in lines. `config`: None where it cannot be read."""
    if config is not None:
        if messages := _over_mqtt(config, seconds):
            yield "from the running service, over its broker"
            yield from messages
            return
        if page := _page(config.metrics):
            yield "from the running service's page for Prometheus"
            yield from page
            return
    yield "from this machine's sensors, as no running service was heard"
    yield from _own_sensors(seconds)


def _over_mqtt(config: Config, seconds: float) -> list[str]:
    """The messages of `seconds`, or the first one, for which it waits a little longer than the interval."""
    settings, topic = config.mqtt, topics(config).telemetry
    found: queue.SimpleQueue[str] = queue.SimpleQueue()
    version = MQTTProtocolVersion.MQTTv5 if settings.version == 5 else MQTTProtocolVersion.MQTTv311
    name = f"korsal-edge-report-{uuid.uuid4().hex[:8]}"
    client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=version, reconnect_on_failure=False)
    client.on_connect = lambda client, *_: client.subscribe(topic)
    client.on_message = lambda _, __, message: found.put(message.payload.decode("utf-8", "replace"))
    thread = None
    try:
        log_in(client, settings)
        client.connect(settings.host, settings.port, settings.keepalive)
        thread = threads.start("report", client.loop_forever)
        return list(_received(found, seconds, min(config.telemetry.interval, LONGEST_INTERVAL)))
    except (CredentialsError, ThreadError, OSError, ValueError):
        return []  # the check of the broker has named it
    finally:
        client.disconnect()
        if thread is not None:
            thread.join(SECONDS)


def _received(found: "queue.SimpleQueue[str]", seconds: float, interval: float) -> Iterator[str]:
    start = time.monotonic()
    first = True
    while True:
        limit = max(seconds, interval + 2.0) if first else seconds
        try:
            yield found.get(timeout=max(0.0, start + limit - time.monotonic()))
        except queue.Empty:
            return
        first = False


def _page(settings: MetricsConfig) -> list[str]:
    """The page for Prometheus; [] where there is none."""
    if not settings.port:
        return []
    host = f"[{settings.address}]" if ":" in settings.address else settings.address
    try:
        with urllib.request.urlopen(f"http://{host}:{settings.port}/metrics", timeout=PAGE_SECONDS) as page:
            text = page.read(PAGE_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError):
        return []
    return [line for line in text.splitlines() if not line.startswith("#")]


def _own_sensors(seconds: float) -> Iterator[str]:
    """A reading a second."""
    sensors = SensorReader()
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(1.0, seconds))
            reading: dict[str, Any] = {"hardware": reading_payload(sensors.newest())}
            yield json.dumps({**reading, "process": host_sensors.process_usage()})
    finally:
        sensors.close()
