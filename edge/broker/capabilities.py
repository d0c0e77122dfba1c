"""What the broker supports: retained messages, QoS 1. Pure.

Brokers of MQTT 5 announce it when they accept the connection, and refuse a will that asks for more; for others it is
set by `[mqtt] retain` and `qos`.
"""

from dataclasses import dataclass, replace
from typing import Any

from edge.broker.message import Message

RETAIN_REFUSED, QOS_REFUSED = 0x9A, 0x9B  # reasons of MQTT 5, section 3.2.2.2
REPEAT_SECONDS = 60.0  # between two publications of what a broker does not retain

NO_RETAIN = (
    f"it retains no messages: states, status and discovery are repeated every {REPEAT_SECONDS:g} s, pictures are sent "
    "once; allow it to retain, or set [mqtt] retain = false"
)
NO_QOS_1 = (
    "it supports QoS 0 only: what is in flight when the connection breaks is lost; allow it QoS 1, or set [mqtt] "
    "qos = 0"
)


@dataclass(frozen=True)
class Capabilities:
    """`retain`: it keeps the newest message of a topic for later subscribers; `qos`: the highest it accepts, 0 or 1."""

    retain: bool = True
    qos: int = 1

    @property
    def limits(self) -> tuple[str, ...]:
        """A sentence for each thing that it cannot do, to follow "broker host:port: "."""
        return (*(() if self.retain else (NO_RETAIN,)), *(() if self.qos else (NO_QOS_1,)))


def from_connack(properties: Any) -> Capabilities:
    """The capabilities in the properties of a CONNACK of MQTT 5; everything where there are none."""
    return Capabilities(bool(getattr(properties, "RetainAvailable", 1)), min(1, getattr(properties, "MaximumQoS", 1)))


def intersection(one: Capabilities, other: Capabilities) -> Capabilities:
    """What both allow."""
    return Capabilities(one.retain and other.retain, min(one.qos, other.qos))


def without_refused(capabilities: Capabilities, code: int) -> Capabilities:
    """What is left after the broker has refused us, or ended a connection, for this reason."""
    if code == RETAIN_REFUSED:
        return replace(capabilities, retain=False)
    return replace(capabilities, qos=0) if code == QOS_REFUSED else capabilities


def adapted(message: Message, capabilities: Capabilities) -> Message:
    """The message as a broker with these capabilities accepts it."""
    return replace(message, retain=message.retain and capabilities.retain, qos=min(message.qos, capabilities.qos))
