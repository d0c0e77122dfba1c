"""What the broker can do: keep messages, acknowledge them.

Brokers of MQTT 5 say so when they let us in, and refuse a will that asks for more; for others `[mqtt] retain` and `qos`
say it.
"""

from dataclasses import dataclass, replace
from typing import Any

from edge.broker.parcel import Parcel

RETAIN_REFUSED, QOS_REFUSED = 0x9A, 0x9B  # reasons of MQTT 5, section 3.2.2.2
RETELL_SECONDS = 60.0  # between two tellings of what a broker does not keep

NOT_KEPT = (
    f"it keeps no messages: states, status and discovery are told again every {RETELL_SECONDS:g} s, pictures once; "
    "allow it to retain, or set [mqtt] retain = false"
)
NOT_ACKNOWLEDGED = (
    "it takes QoS 0 alone: what is on its way when the connection breaks is lost; allow it QoS 1, or set [mqtt] qos = 0"
)


@dataclass(frozen=True)
class Grants:
    """`retain`: it keeps the newest message of a topic for who comes later; `qos`: the highest it takes, 0 or 1."""

    retain: bool = True
    qos: int = 1

    @property
    def limits(self) -> tuple[str, ...]:
        """A sentence for each thing that it cannot do, to follow "broker host:port: "."""
        return (*(() if self.retain else (NOT_KEPT,)), *(() if self.qos else (NOT_ACKNOWLEDGED,)))


def granted(properties: Any) -> Grants:
    """What the properties of a CONNACK of MQTT 5 say; None where there are none."""
    return Grants(bool(getattr(properties, "RetainAvailable", 1)), min(1, getattr(properties, "MaximumQoS", 1)))


def both(one: Grants, other: Grants) -> Grants:
    """What both allow."""
    return Grants(one.retain and other.retain, min(one.qos, other.qos))


def after_refusal(grants: Grants, code: int) -> Grants:
    """What is left after the broker has refused us, or ended a connection, for this reason."""
    if code == RETAIN_REFUSED:
        return replace(grants, retain=False)
    return replace(grants, qos=0) if code == QOS_REFUSED else grants


def fitted(parcel: Parcel, grants: Grants) -> Parcel:
    """The message as such a broker takes it."""
    return replace(parcel, retain=parcel.retain and grants.retain, qos=min(parcel.qos, grants.qos))
