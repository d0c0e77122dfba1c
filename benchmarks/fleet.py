"""Publishes what a fleet would into two bridged mosquittos, breaks one, and counts what arrives at the other.

python -m benchmarks.fleet [--devices 1000] [--outboxes 20] [--rate 500] [--seconds 40] [--absent 5]. Exit status 1
where anything is lost. Every second device is connected to the node that breaks. Needs mosquitto.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from benchmarks.fleet_devices import SyntheticFleet
from benchmarks.fleet_nodes import BrokerNode
from benchmarks.fleet_outboxes import OutboxPlan, OutboxProcess
from edge.service.stage_timing import percentiles

DRAIN_SECONDS = 60.0  # for what still waits in the end
CONNECT_SECONDS = 5.0  # until all are connected


@dataclass
class Received:
    """What one subscriber at the hub has got: how often each step, and how long it took, s."""

    steps: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: list[tuple[float, float]] = field(default_factory=list)  # when it was sent, how long it took

    def on_message(self, _: Client, __: Any, message: Any) -> None:
        """Count one message."""
        step = json.loads(message.payload)
        self.steps[step["event_id"], step["seq"]] += 1
        self.seconds.append((step["sent"], time.time() - step["sent"]))


def main() -> int:
    """Run it, and print what came of it."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        hub = BrokerNode(Path(folder))
        edge = BrokerNode(Path(folder), hub.port)
        try:
            return _run(options, hub, edge, Path(folder))
        finally:
            edge.break_down()
            hub.break_down()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Publishes what a fleet would into two bridged brokers; one breaks.")
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--outboxes", type=int, default=20, help="how many of them publish through a real outbox")
    parser.add_argument("--rate", type=int, default=500, help="steps a second, of all devices together")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--absent", type=float, default=5.0, help="seconds until the broken node is started again")
    return parser.parse_args()


def _run(options: argparse.Namespace, hub: BrokerNode, edge: BrokerNode, folder: Path) -> int:
    received = Received()
    subscriber = _subscribe(hub.port, received)
    ports, share = (hub.port, edge.port), options.outboxes / options.devices
    numbers = range(options.outboxes)
    real = OutboxProcess(OutboxPlan(numbers, ports, folder, options.rate * share, options.seconds, DRAIN_SECONDS))
    synthetic = SyntheticFleet(range(options.outboxes, options.devices), ports)
    synthetic.serve(CONNECT_SECONDS)
    real.begin()
    outage = _publish(options, options.rate * (1 - share), synthetic, edge)
    deadline = time.monotonic() + DRAIN_SECONDS
    while (synthetic.waiting or not real.is_over) and time.monotonic() < deadline:
        synthetic.serve(0.5)
    synthetic.serve(CONNECT_SECONDS)  # what is still on the bridge
    published, waiting = real.result()
    published += sum(device.published for device in synthetic.devices)
    waiting += synthetic.waiting
    synthetic.close()
    subscriber.disconnect()
    subscriber.loop_stop()
    return _report(options, published, waiting, received, outage)


def _subscribe(port: int, received: Received) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, "fleet-subscriber", protocol=MQTTProtocolVersion.MQTTv5)
    client.on_message = received.on_message
    client.on_connect = lambda connected, *_: connected.subscribe("korsal/+/+/actions/#", qos=1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def _publish(
    options: argparse.Namespace, rate: float, synthetic: SyntheticFleet, edge: BrokerNode
) -> tuple[float, float]:
    """Let the synthetic devices publish in turn; when the node was away, unix time, s."""
    began, sent, away, back = time.monotonic(), 0, 0.0, 0.0
    while (passed := time.monotonic() - began) < options.seconds:
        if not away and passed > options.seconds / 3:
            edge.break_down()
            away = time.time()
        elif away and not back and time.time() - away > options.absent:
            edge.start_again()
            back = time.time()
        while sent < passed * rate:
            synthetic.step()
            sent += 1
        synthetic.serve(0.02)
    return away, back


def _report(
    options: argparse.Namespace, published: int, waiting: int, received: Received, outage: tuple[float, float]
) -> int:
    lost = published - len(received.steps)
    doubled = sum(received.steps.values()) - len(received.steps)
    away, back = outage
    settled = back + 5.0  # what waited has been sent by then
    calm = [seconds for sent, seconds in received.seconds if sent < away - 1.0 or sent > settled]
    rough = [seconds for sent, seconds in received.seconds if away - 1.0 <= sent <= settled]
    print(f"{options.devices} devices, {options.outboxes} of them with outboxes, {published} steps")
    print(f"rate: {published / options.seconds:.0f} a second, one node away for {back - away:.1f} s")
    print(f"both nodes there: {_words(calm)}; around the outage: {_words(rough)}")
    print(f"lost: {lost}, doubled: {doubled}, unacknowledged in the end: {waiting}")
    return int(lost != 0)


def _words(seconds: list[float]) -> str:
    found = percentiles(seconds)
    return f"p50 {found['p50']:.0f} ms, p99 {found['p99']:.0f} ms" if found else "nothing"


if __name__ == "__main__":
    sys.exit(main())
