"""A broker that takes a message and forgets to acknowledge it."""

import pytest

from edge.broker.outbox import Outbox, OutboxLimits
from edge.config.schema import MqttConfig
from tests.support.publishing import event, publishing
from tests.support.refusing_broker import CONNECT, PUBLISH, RefusingBroker
from tests.support.waiting import wait_for


class ForgetfulBroker(RefusingBroker):
    """Of the first connection it acknowledges no event, and all else."""

    connections = 0

    def _answer(self, head: int, body: bytes) -> bytes:
        self.connections += head >> 4 == CONNECT
        if head >> 4 == PUBLISH and b"/actions/" in body and self.connections == 1:
            return b""
        return super()._answer(head, body)


def test_a_broker_that_forgets_a_message_is_reconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other messages are acknowledged all the while, so that the connection itself holds."""
    monkeypatch.setattr("edge.broker.publisher.ACKNOWLEDGE_SECONDS", 0.5)
    outbox = Outbox(None, OutboxLimits())
    outbox.put([event(number) for number in range(5)], 0.0)
    with ForgetfulBroker(lambda seq: False) as broker:
        with publishing(MqttConfig(host="127.0.0.1", port=broker.port), outbox) as publisher:
            wait_for(
                lambda: publisher.publish_retained("x", b"") or publisher.statistics().outbox.rows == 0,
                "none to go",
                60,
            )
            assert publisher.statistics().connections == 2
            assert "a message was not acknowledged within 0.5 s" in (publisher.statistics().last_fault or "")
        assert broker.taken == list(range(5))
