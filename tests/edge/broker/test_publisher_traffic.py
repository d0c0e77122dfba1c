"""What goes over the broker beside events: requests and answers, pictures, losses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.broker import publisher_queues
from edge.broker.outbox import Outbox, OutboxLimits
from edge.broker.publisher import Publisher
from edge.broker.requests import MAX_REQUEST_BYTES, Request, answer
from edge.broker.topics import level
from edge.config.schema import MqttConfig
from tests.support.broker import Broker, Subscriber
from tests.support.fake_request_handler import FakeRequestHandler
from tests.support.publishing import TOPICS, at, event, impatient, numbers, publishing
from tests.support.waiting import wait_for

__all__ = ["impatient"]
pytestmark = pytest.mark.usefixtures("impatient")
OPEN = MqttConfig(allow_remote_config=True, snapshots=True)


@pytest.fixture
def asker(broker: Broker) -> Iterator[Client]:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def until_it_listens(broker: Broker) -> None:
    """The publisher subscribes to requests and then says that it is online; the broker does that in this order."""
    with Subscriber(broker.port) as subscriber:
        wait_for(lambda: b"online" in subscriber.payloads(TOPICS.available), "the device to be online")


def serve(publisher: Publisher, count: int) -> list[Request]:
    """Answer so many requests, as the daemon does between two frames."""
    served: list[Request] = []

    def done() -> bool:
        for request in publisher.take_requests():
            publisher.publish_response(answer(request, FakeRequestHandler(), TOPICS, OPEN))
            served.append(request)
        return len(served) >= count

    wait_for(done, f"{count} requests, not {served}")
    return served


def responses(subscriber: Subscriber, op: str, count: int) -> list[Any]:
    topic = TOPICS.response(op)
    wait_for(lambda: len(subscriber.on(topic)) >= count, f"{count} answers on {topic}")
    return subscriber.json_on(topic)


@pytest.mark.parametrize("version", [5, 3])
def test_a_request_is_answered(broker: Broker, asker: Client, version: int) -> None:
    with Subscriber(broker.port) as subscriber, publishing(at(broker, version=version)) as publisher:
        until_it_listens(broker)
        asker.publish(TOPICS.request("health"), b'{"transaction": "x1"}', qos=1)
        serve(publisher, 1)
        (found,) = responses(subscriber, "health", 1)
        assert found == {"status": "ok", "data": {"fps": {"door": 25.0}}, "error": None, "transaction": "x1"}
        assert not subscriber.on(TOPICS.response("health"))[0].retain


def test_mqtt_5_answers_where_the_asker_wants(broker: Broker, asker: Client) -> None:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic = "asker/7/answers"
    properties.CorrelationData = b"\x00mark"
    with Subscriber(broker.port) as subscriber, publishing(at(broker)) as publisher:
        until_it_listens(broker)
        asker.publish(TOPICS.request("reload"), b"", qos=1, properties=properties)
        serve(publisher, 1)
        subscriber.wait_for_topic("asker/7/answers")
        (message,) = subscriber.on("asker/7/answers")
        assert message.properties is not None
        assert vars(message.properties)["CorrelationData"] == b"\x00mark"
        assert vars(message.properties)["ContentType"] == "application/json"


def test_a_retained_request_is_never_carried_out(broker: Broker, asker: Client) -> None:
    asker.publish(TOPICS.request("reload"), b"{}", qos=1, retain=True).wait_for_publish(10)
    with Subscriber(broker.port) as subscriber, publishing(at(broker)) as publisher:
        assert serve(publisher, 1)[0].retained
        assert "retained requests are ignored" in responses(subscriber, "reload", 1)[0]["error"]
        asker.publish(TOPICS.request("reload"), b'{"transaction": 2}', qos=1, retain=True)  # while we listen
        assert serve(publisher, 1)[0].retained


def test_a_request_that_is_too_large_gets_an_error(broker: Broker, asker: Client) -> None:
    with Subscriber(broker.port) as subscriber, publishing(at(broker)) as publisher:
        until_it_listens(broker)
        asker.publish(TOPICS.request("config-set"), b'{"data": "' + b"x" * MAX_REQUEST_BYTES + b'"}', qos=1)
        asker.publish(TOPICS.request("no/such"), b"", qos=1)  # two levels: not for us
        asker.publish(TOPICS.request("nöthing #1".replace("#", "")), b"", qos=1)
        serve(publisher, 2)
        assert "too large" in responses(subscriber, "config-set", 1)[0]["error"]
        assert "unknown request" in responses(subscriber, level("nöthing 1"), 1)[0]["error"]


OPS = ["health", "reload", "config-get", "config-set", "snapshot", "no-such", "", "a" * 200, "ünï", "x y", "%41"]
PAYLOADS = [
    b"", b"{}", b'{"transaction": "%s"}' % (b"t" * 250), b"\xff\xfe", b"[]", b"null", b"9" * 60_000, b"[" * 60_000,
    b"x" * 500_000, b'{"transaction": 1e999}', b'{"transaction": NaN}', b'{"transaction": "\\ud800"}',
]  # fmt: skip
PLACES = [
    None, "answers/x", "korsal/roof/response/y", "korsal/other/z", "$SYS/x", "a" * 600, "/" * 190, "/", "a//b",
    "\u200b",
]  # fmt: skip


def test_every_request_is_answered(broker: Broker, asker: Client) -> None:
    """One after the other, as nobody waits for more than 32."""
    answered: list[bytes] = []
    asker.on_message = lambda _, __, message: answered.append(vars(message.properties)["CorrelationData"])
    asker.subscribe([("answers/#", 1), (TOPICS.response("#"), 1), ("/#", 1), ("a//b", 1), ("\u200b", 1)])
    strange: list[tuple[str, bytes, str | None]] = [(op, b"{}", None) for op in OPS]
    strange += [("health", one, None) for one in PAYLOADS]
    strange += [("health", b"{}", place) for place in PLACES]
    with publishing(at(broker)) as publisher:
        until_it_listens(broker)
        for number, (op, payload, place) in enumerate(strange):
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = b"%d" % number
            if place is not None:
                properties.ResponseTopic = place
            asker.publish(TOPICS.request(op), payload, qos=number % 3, properties=properties)
            serve(publisher, 1)
        wait_for(lambda: sorted(answered) == sorted(b"%d" % number for number in range(len(strange))), "all answers")
        assert publisher.statistics().connections == 1


def test_requests_larger_than_we_accept_block_no_other(broker: Broker, asker: Client) -> None:
    """mosquitto leaves them out; with QoS 1 some dozens of them were the end of all others on this connection."""
    with publishing(at(broker)) as publisher:
        until_it_listens(broker)
        for _ in range(60):
            asker.publish(TOPICS.request("health"), b"x" * 600_000, qos=1).wait_for_publish(20)
        asker.publish(TOPICS.request("reload"), b"", qos=1)
        assert serve(publisher, 1)[0].op == "reload"
        assert publisher.statistics().connections == 1


def test_a_flood_of_requests_is_dropped_and_counted(broker: Broker, asker: Client) -> None:
    with Subscriber(broker.port) as subscriber, publishing(at(broker)) as publisher:
        until_it_listens(broker)
        for _ in range(500):
            asker.publish(TOPICS.request("health"), b"", qos=1)
        wait_for(lambda: publisher.statistics().dropped_requests == 500 - publisher_queues.MAX_REQUESTS, "the drops")
        publisher.publish_event(event(0))
        wait_for(lambda: numbers(subscriber) == [0], "an event in the middle of it")
        assert len(publisher.take_requests()) == publisher_queues.MAX_REQUESTS
        assert publisher.take_requests() == ()


def test_losses_are_published_and_retained(broker: Broker) -> None:
    outbox = Outbox(None, OutboxLimits(rows=10, size=1_000_000))
    with publishing(at(broker), outbox) as publisher:
        with Subscriber(broker.port) as subscriber:
            wait_for(lambda: publisher.statistics().online, "the connection")
            assert not subscriber.on(TOPICS.lost)  # nothing is lost yet
        broker.stop()
        wait_for(lambda: not publisher.statistics().online, "the end")
        for seq in range(25):
            publisher.publish_event(event(seq))
        wait_for(lambda: publisher.statistics().outbox.dropped_updates == 15, "15 drops")
        broker.start()
        wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")
        with Subscriber(broker.port) as later:
            later.wait_for_topic(TOPICS.lost)
            (message,) = later.on(TOPICS.lost)
            assert message.retain
            found = json.loads(message.payload)
            assert (found["updates"], found["events"], found["expired"], found["refused"]) == (15, 0, 0, 0)


def test_a_picture_is_retained_and_names_its_event(broker: Broker) -> None:
    topic, jpeg = TOPICS.snapshot("door", "Long Jump"), b"\xff\xd8 a picture"
    with publishing(at(broker)) as publisher:
        publisher.publish_snapshot(topic, jpeg, "event-1")
        publisher.publish_event(event(0))
        wait_for(lambda: publisher.statistics().online and not publisher.statistics().outbox.rows, "delivery")
        with Subscriber(broker.port) as later:
            later.wait_for_payload(topic, jpeg)
            (message,) = later.on(topic)
            assert message.retain
            assert message.properties is not None
            assert vars(message.properties)["ContentType"] == "image/jpeg"
            assert vars(message.properties)["UserProperty"] == [("event_id", "event-1")]


def test_without_a_broker_the_newest_snapshot_of_each_topic_waits(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with publishing(at(broker)) as publisher:
        wait_for(lambda: publisher.statistics().fault, "the fault")
        for number in range(100):
            publisher.publish_snapshot(TOPICS.snapshot("door", "Dunk"), b"\xff\xd8%d" % number)
        with broker, Subscriber(broker.port) as subscriber:
            subscriber.wait_for_payload(TOPICS.snapshot("door", "Dunk"), b"\xff\xd899")
            assert len(subscriber.on(TOPICS.snapshot("door", "Dunk"))) == 1


def test_a_broker_that_accepts_one_message_at_a_time_gets_them_so(tmp_path: Path) -> None:
    with Broker(tmp_path, "allow_anonymous true\nmax_inflight_messages 1") as broker:
        settings = at(broker)
        with Subscriber(broker.port) as subscriber, publishing(settings) as publisher:
            for camera in range(30):
                publisher.publish_retained(TOPICS.state(f"camera{camera}"), b"online")
            for seq in range(50):
                publisher.publish_event(event(seq))
            wait_for(lambda: numbers(subscriber) == list(range(50)), "all events")
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")
            assert publisher.statistics().connections == 1
            assert all(subscriber.on(TOPICS.state(f"camera{camera}")) for camera in range(30))


def test_events_carry_what_one_needs_to_sort_them(broker: Broker) -> None:
    with Subscriber(broker.port) as subscriber, publishing(at(broker)) as publisher:
        publisher.publish_event(event(7, "b"))
        wait_for(lambda: numbers(subscriber, "b") == [7], "the event")
        properties = subscriber.on(TOPICS.event("door", "Dunk"))[0].properties
        assert properties is not None
        assert vars(properties)["UserProperty"] == [("event_id", "b"), ("seq", "7"), ("type", "update")]
