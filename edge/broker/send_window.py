"""What may be in flight together, and what the broker's answers mean for what is sent next.

Time comes in with the calls.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge.broker import poison_messages, topic_permissions
from edge.broker.delivery_statistics import InFlight
from edge.broker.message import Message, StoredMessage
from edge.broker.poison_messages import PoisonMessage, PoisonSearch, SentMessage
from edge.broker.publish_packet import packet_size
from edge.broker.topic_permissions import TopicPermissions

HOLD_SECONDS = 60.0  # until what the broker has refused is offered again


@dataclass(frozen=True)
class Answered:
    """What an acknowledgement means. `accepted`: keys of all messages that it covers; `leaves`: the outbox, that is.

    `newly_held`: its topic is refused, and was not before.
    """

    message: InFlight
    accepted: frozenset[str]
    leaves: bool
    newly_held: bool


class SendWindow:
    """The messages in flight on one connection, and what is known of the broker beyond it. For one thread.

    Other threads may read `events_in_flight`.
    """

    def __init__(self) -> None:
        self._in_flight: dict[int, InFlight] = {}  # by packet id
        self._permissions = TopicPermissions()
        self._poison = PoisonSearch()

    def __len__(self) -> int:
        """How many messages are in flight."""
        return len(self._in_flight)

    @property
    def events_in_flight(self) -> int:
        """How many of them are steps of events."""
        return sum(bool(message.row) for message in self._in_flight.copy().values())

    def oldest(self, now: float) -> float:
        """When the oldest message in flight was sent, monotonic, s; `now` where there is none."""
        return min((message.sent_at for message in self._in_flight.values()), default=now)

    def held_topics(self, now: float) -> list[str]:
        """Topics to which nothing is sent at `now`, as the broker refuses them."""
        return topic_permissions.held_topics(self._permissions, now)

    def may_send(self, message: Message) -> bool:
        """Whether a message that is no event may be sent beside what is in flight."""
        return poison_messages.may_send(self._poison, _unsent(message, 0), bool(self._in_flight))

    def sendable(self, waiting: Sequence[StoredMessage], most: int) -> list[StoredMessage]:
        """Which of these may be sent now, `most` at most; `waiting`: the oldest first."""
        in_flight = {message.row: message.topic for message in self._in_flight.values()}
        allowed = topic_permissions.sendable(self._permissions, waiting, in_flight)[:most]
        if self._poison.has_no_suspects:
            return allowed
        chosen: list[StoredMessage] = []
        for stored in allowed:
            unsent = _unsent(stored.message, stored.id)
            if not poison_messages.may_send(self._poison, unsent, bool(self._in_flight or chosen)):
                break
            chosen.append(stored)
            if poison_messages.needs_isolation(self._poison, unsent):
                break
        return chosen

    def prepared(self, message: Message, row: int, now: float) -> Message | None:
        """The message as it is to be sent; None for one that the broker would disconnect at."""
        unsent = _unsent(message, row)
        if poison_messages.will_be_refused(self._poison, unsent, now):
            return None
        # With QoS 1, so that one learns whether it was accepted.
        return replace(message, qos=1) if poison_messages.needs_isolation(self._poison, unsent) else message

    def sent(self, packet_id: int, message: Message, row: int, now: float) -> None:
        """A message has been sent."""
        self._poison = poison_messages.record_sent(self._poison, replace(_unsent(message, row), packet_id=packet_id))
        if message.qos:
            self._in_flight[packet_id] = InFlight(row, message.topic, now)

    def only(self, packet_id: int, topic: str, now: float) -> None:
        """Forget all but this message."""
        self._in_flight = {packet_id: InFlight(0, topic, now)}

    def acknowledged(self, packet_id: int, refused: bool, permanent: bool, now: float) -> Answered | None:
        """The broker has accepted or refused a message; None where it is not in flight."""
        message = self._in_flight.pop(packet_id, None)
        if message is None:
            return None
        self._poison, accepted = poison_messages.acknowledged(self._poison, packet_id)
        newly_held = False
        if message.row and not refused:
            self._permissions = topic_permissions.after_accepted(self._permissions, message.topic)
        elif message.row and permanent:
            self._permissions = topic_permissions.after_rejected(self._permissions, message.topic, now + HOLD_SECONDS)
        elif message.row:
            newly_held = message.topic not in self._permissions.held_until
            self._permissions = topic_permissions.after_refused(self._permissions, message.topic, now + HOLD_SECONDS)
        return Answered(message, accepted, bool(message.row) and (permanent or not refused), newly_held)

    def disconnected(self, strikes: int, now: float) -> PoisonMessage | None:
        """The connection has ended; the message at which the broker disconnects, once it is known."""
        self._in_flight.clear()
        self._permissions = topic_permissions.after_disconnected(self._permissions)
        self._poison, poison = poison_messages.disconnected(self._poison, strikes, now)
        if poison is not None and poison.message.row and poison.accepted_size is None:
            topic = poison.message.topic
            self._permissions = topic_permissions.after_refused(self._permissions, topic, now + HOLD_SECONDS)
        return poison


def _unsent(message: Message, row: int) -> SentMessage:
    """The message as the search for poison messages knows it; it has no packet id yet."""
    return SentMessage(0, message.topic, row, packet_size(replace(message, qos=1), None))
