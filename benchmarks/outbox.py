"""Measures the throughput of events through the outbox to mosquitto, against publishing them with paho alone.

python -m benchmarks.outbox [--directory STATE] [--events 5000] [--rate 1000] [--seconds 20]. Exit status 1 where the
outbox does not keep up with the rate. Needs mosquitto.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.broker.outbox import Message, Outbox, OutboxLimits
from edge.broker.publisher import Publisher
from edge.broker.topics import Topics
from edge.config.schema import MqttConfig
from edge.service.stage_timing import percentiles

ROUNDS = 3
SIZE = 850  # bytes of a payload, as events have
TOPICS = Topics("korsal", "benchmark")
TOPIC = TOPICS.event("door", "Basketball")


def main() -> int:
    """Print the throughput of both in turns, their ratio, and how the outbox performs at a steady rate."""
    options = _options()
    with mosquitto() as port, tempfile.TemporaryDirectory(dir=options.directory) as folder:
        bare, ours = [], []
        for turn in range(ROUNDS):
            bare.append(options.events / bare_seconds(port, options.events))
            ours.append(options.events / outbox_seconds(port, options.events, Path(folder) / f"{turn}.sqlite"))
            print(f"paho alone {bare[-1]:8.0f} events/s, through the outbox {ours[-1]:8.0f} events/s", flush=True)
        ratio = statistics.median(ours) / statistics.median(bare)
        print(f"median: {statistics.median(bare):.0f} and {statistics.median(ours):.0f} events/s, ratio {ratio:.2f}")
        return int(not steady(port, options.rate, options.seconds, Path(folder) / "steady.sqlite"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures the throughput of events through the outbox to mosquitto.")
    parser.add_argument("--directory", type=Path, help="folder of the outbox's file; default: the temporary one")
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=1000, help="events per second of the steady part")
    parser.add_argument("--seconds", type=int, default=20)
    return parser.parse_args()


@contextmanager
def mosquitto() -> Iterator[int]:
    """A broker of our own on loopback; its port."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        sys.exit("mosquitto is not installed: apt-get install mosquitto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with subprocess.Popen([program, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as broker:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.01)
        try:
            yield port
        finally:
            broker.kill()


def event(number: int) -> Message:
    """An event as large as real ones."""
    text = json.dumps({"event_id": f"{number // 20}", "seq": number % 20, "sent": time.time()})
    return Message(TOPIC, text.ljust(SIZE).encode(), f"{number // 20}", number % 20, "update", time.time() + 3600)


def bare_seconds(port: int, count: int) -> float:
    """For so many messages of QoS 1 from a loop that does nothing else, until the last is acknowledged."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    acknowledged, done = [], threading.Event()

    def on_publish(*_: object) -> None:
        acknowledged.append(1)
        if len(acknowledged) == count:
            done.set()

    client.on_publish = on_publish
    client.connect("127.0.0.1", port)
    client.loop_start()
    started = time.perf_counter()
    for number in range(count):
        client.publish(TOPIC, event(number).payload, qos=1)
    done.wait()
    seconds = time.perf_counter() - started
    client.disconnect()
    client.loop_stop()
    return seconds


def outbox_seconds(port: int, count: int, file: Path) -> float:
    """The same through the outbox: stored with a sync of the disk, sent, removed when acknowledged."""
    publisher = Publisher(MqttConfig(host="127.0.0.1", port=port), TOPICS, Outbox(file, OutboxLimits()))
    while not publisher.statistics().online:
        time.sleep(0.01)
    started = time.perf_counter()
    for number in range(count):
        publisher.publish_event(event(number))
    publisher.close(600)  # returns when everything has arrived
    return time.perf_counter() - started


def steady(port: int, rate: int, seconds: int, file: Path) -> bool:
    """Publish at a steady rate and print the result; whether everything arrived at that rate."""
    late: list[float] = []
    subscriber = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)

    def on_message(_: Client, __: object, message: MQTTMessage) -> None:
        late.append(time.time() - float(json.loads(message.payload)["sent"]))

    subscriber.on_message = on_message
    subscriber.on_connect = lambda client, *_: client.subscribe(TOPIC, qos=0)
    subscriber.connect("127.0.0.1", port)
    subscriber.loop_start()
    publisher = Publisher(MqttConfig(host="127.0.0.1", port=port), TOPICS, Outbox(file, OutboxLimits()))
    worked, started = time.process_time(), time.perf_counter()
    most = _feed(publisher, rate, seconds)
    behind = publisher.statistics().outbox.rows
    publisher.close(600)
    took = time.perf_counter() - started
    load = (time.process_time() - worked) / took
    subscriber.disconnect()
    subscriber.loop_stop()
    found = percentiles(late)
    print(
        f"{rate} events/s for {seconds} s: {len(late)} arrived in {took:.1f} s, at most {most} waiting, {behind} at "
        f"the end; event to subscriber p50 {found['p50']:.0f}, p95 {found['p95']:.0f}, p99 {found['p99']:.0f} ms; "
        f"CPU {load:.2f} cores, subscriber and feeding included"
    )
    return len(late) >= rate * seconds and behind < rate


def _feed(publisher: Publisher, rate: int, seconds: int) -> int:
    """Publish events in steps of 10 ms; returns the most that were waiting."""
    most = number = 0
    started = time.perf_counter()
    while number < rate * seconds:
        due = min(rate * seconds, int((time.perf_counter() - started) * rate))
        while number < due:
            publisher.publish_event(event(number))
            number += 1
        most = max(most, publisher.statistics().outbox.rows)
        time.sleep(0.01)
    return most


if __name__ == "__main__":
    sys.exit(main())
