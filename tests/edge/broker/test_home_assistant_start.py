"""Home Assistant starts, and says so at its own topic: what it may have missed is published once more."""

import pytest

from edge.broker import retained
from tests.support.broker import Broker, Subscriber
from tests.support.publishing import TOPICS, at, publishing
from tests.support.waiting import wait_for


def times(subscriber: Subscriber) -> int:
    """How often the status was published."""
    return len(subscriber.on(TOPICS.status))


@pytest.mark.parametrize("version", [5, 3])
def test_what_is_retained_is_published_once_more(
    broker: Broker, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    monkeypatch.setattr(retained, "WANTED_AGAIN_SECONDS", 0.0)
    with publishing(at(broker, version=version, discovery=True, discovery_prefix="home")) as publisher:
        publisher.publish_retained(TOPICS.status, b"{}")
        subscriber.wait_for_topic(TOPICS.status)
        subscriber.publish("home/status", b"offline")
        subscriber.publish("homeassistant/status", b"online")  # another prefix is none of ours
        subscriber.publish("home/status", b"online")
        wait_for(lambda: times(subscriber) == 2, "the status once more")
        subscriber.publish(TOPICS.request("health"), b"")
        wait_for(lambda: [one.op for one in publisher.take_requests()] == ["health"], "the request")
    assert times(subscriber) == 2


def test_without_discovery_nobody_listens(broker: Broker, subscriber: Subscriber) -> None:
    with publishing(at(broker)) as publisher:
        publisher.publish_retained(TOPICS.status, b"{}")
        subscriber.wait_for_topic(TOPICS.status)
        subscriber.publish("homeassistant/status", b"online")
        subscriber.publish(TOPICS.request("health"), b"")
        wait_for(lambda: [one.op for one in publisher.take_requests()] == ["health"], "the request")
    assert times(subscriber) == 1
