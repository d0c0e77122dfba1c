"""What the broker can do: keep messages, acknowledge them.

Brokers of MQTT 5 say so when they let us in, and refuse a will that asks for more; for others `[mqtt] retain` and `qos`
say it.
"""

from dataclasses import dataclass, replace
from typing import Any

from edge.broker.parcel import Parcel

RETAIN_REFUSED, QOS_REFUSED = 0x9A, 0x9B  # reasons of MQTT 5, section 3.2.2.2
REPEAT_SECONDS = 60.0  # between two tellings of what a broker does not keep

NO_RETAIN = (
    f"it keeps no messages: states, status and discovery are told again every {REPEAT_SECONDS:g} s, pictures once; "
    "allow it to retain, or set [mqtt] retain = false"
)
NO_QOS_1 = (
    "it takes QoS 0 alone: what is on its way when the connection breaks is lost; allow it QoS 1, or set [mqtt] qos = 0"
)


@dataclass(frozen=True)
class Capabilities:
    """`retain`: it keeps the newest message of a topic for who comes later; `qos`: the highest it takes, 0 or 1."""

    retain: bool = True
    qos: int = 1

    @property
    def limits(self) -> tuple[str, ...]:
        """A sentence for each thing that it cannot do, to follow "broker host:port: "."""
        return (*(() if self.retain else (NO_RETAIN,)), *(() if self.qos else (NO_QOS_1,)))


def from_connack(properties: Any) -> Capabilities:
    """What the properties of a CONNACK of MQTT 5 say; None where there are none."""
    return Capabilities(bool(getattr(properties, "RetainAvailable", 1)), min(1, getattr(properties, "MaximumQoS", 1)))


def intersection(one: Capabilities, other: Capabilities) -> Capabilities:
    """What both allow."""
    return Capabilities(one.retain and other.retain, min(one.qos, other.qos))


def without_refused(capabilities: Capabilities, code: int) -> Capabilities:
    """What is left after the broker has refused us, or ended a connection, for this reason."""
    if code == RETAIN_REFUSED:
        return replace(capabilities, retain=False)
    return replace(capabilities, qos=0) if code == QOS_REFUSED else capabilities


def adapted(parcel: Parcel, capabilities: Capabilities) -> Parcel:
    """The message as such a broker takes it."""
    return replace(parcel, retain=parcel.retain and capabilities.retain, qos=min(parcel.qos, capabilities.qos))
