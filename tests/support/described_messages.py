"""What docs/asyncapi.json says of messages that were published."""

import functools
import json
from collections.abc import Iterable, Iterator
from typing import Any

import jsonschema
from paho.mqtt.client import MQTTMessage

from scripts.reference.asyncapi import DOCS, topic_pattern

MOST = 200  # messages of a channel that are looked at, spread over all that came


@functools.cache
def described() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((DOCS / "asyncapi.json").read_text())
    return document


@functools.cache
def validator(channel: str) -> jsonschema.Draft202012Validator:
    document = described()
    payload = document["components"]["messages"][channel]["payload"]
    return jsonschema.Draft202012Validator({**payload, "components": document["components"]})


def channel_of(topic: str) -> str:
    """The one channel whose topic this is, or the most specific of several."""
    channels = described()["channels"]
    found = [key for key, channel in channels.items() if topic_pattern(channel).fullmatch(topic)]
    assert found, f"{topic} belongs to no channel of docs/asyncapi.json"
    return min(found, key=lambda key: len(channels[key]["parameters"]))


def check(messages: Iterable[MQTTMessage], delivery: bool = False) -> set[str]:
    """The channels that these messages of a device are of; fails where one is not as it is described.

    `delivery`: QoS and retain flag too, which a broker or `[mqtt] qos = 0` may lower.
    """
    by_channel: dict[str, list[MQTTMessage]] = {}
    for message in messages:
        by_channel.setdefault(channel_of(message.topic), []).append(message)
    for channel, found in by_channel.items():
        looked_at = found[:: len(found) // MOST + 1]
        wrong = [fault for one in looked_at for fault in content_faults(channel, one)]
        wrong += [fault for one in looked_at if delivery for fault in delivery_faults(channel, one)]
        assert not wrong, wrong[:3]
    return set(by_channel)


def delivery_faults(channel: str, message: MQTTMessage) -> Iterator[str]:
    operation = described()["operations"].get(channel)
    expected = (1, False)  # of an answer
    if operation is not None:
        binding = operation["bindings"]["mqtt"]
        expected = (binding["qos"], binding["retain"])
    if (message.qos, bool(message.retain)) != expected:
        yield f"{message.topic}: came with QoS {message.qos}, retain {message.retain}"


def content_faults(channel: str, message: MQTTMessage) -> Iterator[str]:
    described_as = described()["components"]["messages"][channel]
    may_be_empty = "removes what is retained" in described_as.get("description", "") or channel.endswith("Request")
    if not message.payload and may_be_empty:
        return
    if described_as["contentType"] == "image/jpeg":
        if message.payload[:2] != b"\xff\xd8":
            yield f"{message.topic}: no JPEG"
        return
    text = bytes(message.payload).decode()
    content = json.loads(text) if described_as["contentType"] == "application/json" else text
    for error in validator(channel).iter_errors(content):
        yield f"{message.topic}: {error.json_path}: {error.message}"[:400]
