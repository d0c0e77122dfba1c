import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edge.broker.outbox import Outbox, OutboxLimits
from edge.config.schema import MqttConfig
from tests.support.broker import Broker, Relay, Subscriber
from tests.support.publishing import TOPICS, at, event, impatient, numbers, publishing
from tests.support.waiting import wait_for

__all__ = ["impatient"]
pytestmark = pytest.mark.usefixtures("impatient")


@pytest.mark.parametrize("version", [5, 3])
def test_events_arrive_in_order_and_leave_the_outbox(broker: Broker, version: int) -> None:
    outbox = Outbox(None, OutboxLimits())
    with Subscriber(broker.port) as subscriber, publishing(at(broker, version=version), outbox) as publisher:
        for seq in range(100):
            publisher.publish_event(event(seq))
        wait_for(lambda: len(numbers(subscriber)) == 100, "100 events")
        wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")
        assert numbers(subscriber) == list(range(100))
        assert publisher.statistics().in_flight == 0


def test_mqtt_5_has_content_type_and_expiry(broker: Broker) -> None:
    with Subscriber(broker.port) as subscriber, publishing(at(broker)) as publisher:
        publisher.publish_event(event(0, seconds=100))
        wait_for(lambda: numbers(subscriber), "the event")
        properties = subscriber.on(TOPICS.event("door", "Dunk"))[0].properties
        assert properties is not None
        assert vars(properties)["ContentType"] == "application/json"
        assert 90 <= vars(properties)["MessageExpiryInterval"] <= 100


def test_expiry_is_recomputed_when_a_message_has_waited(tmp_path: Path) -> None:
    outbox = Outbox(None, OutboxLimits())
    outbox.put([event(0, seconds=1000), event(1, seconds=0.2)], now=0.0)
    time_to_expire = time.time() + 0.2
    wait_for(lambda: time.time() > time_to_expire, "the clock")
    with Broker(tmp_path) as broker, Subscriber(broker.port) as subscriber, publishing(at(broker), outbox) as publisher:
        publisher.publish_event(event(2, seconds=50))
        wait_for(lambda: len(numbers(subscriber)) == 2, "two events")
        assert numbers(subscriber) == [0, 2]  # number 1 had become too old
        expiries = [m.properties.MessageExpiryInterval for m in subscriber.on(TOPICS.event("door", "Dunk"))]  # type: ignore[union-attr]
        assert 980 <= expiries[0] <= 1000
        assert expiries[1] <= 50
        assert publisher.statistics().outbox.expired == 1


def test_retained_messages_wait_for_late_subscribers(broker: Broker) -> None:
    with publishing(at(broker)) as publisher:
        publisher.publish_retained(TOPICS.state("door"), b"online")
        publisher.publish_retained(TOPICS.state("door"), b"stalled")
        publisher.publish(TOPICS.telemetry, b"{}")
        with Subscriber(broker.port) as subscriber:
            subscriber.wait_for_payload(TOPICS.available, b"online")
            subscriber.wait_for_payload(TOPICS.state("door"), b"stalled")
            assert all(message.retain for message in subscriber.on(TOPICS.state("door")))


def test_an_orderly_end_sends_what_waits_and_offline(broker: Broker) -> None:
    with Subscriber(broker.port) as subscriber:
        with publishing(at(broker)) as publisher:
            for seq in range(200):
                publisher.publish_event(event(seq))
        subscriber.wait_for_payload(TOPICS.available, b"offline")
        assert numbers(subscriber) == list(range(200))
        last = list(subscriber.messages)[-1]
        assert (last.topic, last.retain) == (TOPICS.available, True)


def test_a_killed_process_leaves_its_last_will_and_its_events(broker: Broker, tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from edge.broker.publisher import Publisher\n"
        "from edge.broker.outbox import OutboxLimits, Outbox\n"
        "from edge.config.schema import MqttConfig\n"
        "from edge.broker.topics import Topics\n"
        "settings = MqttConfig(host='127.0.0.1', port=int(sys.argv[1]))\n"
        "publisher = Publisher(settings, Topics('korsal', 'roof'), Outbox(Path(sys.argv[2]), OutboxLimits()))\n"
        "sys.stdin.read()\n"
    )
    file = tmp_path / "outbox.sqlite"
    process = subprocess.Popen([sys.executable, "-c", program, str(broker.port), str(file)], stdin=subprocess.PIPE)
    with Subscriber(broker.port) as subscriber:
        subscriber.wait_for_payload(TOPICS.available, b"online")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        subscriber.wait_for_payload(TOPICS.available, b"offline")


def test_nothing_is_lost_while_the_broker_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broker = Broker(tmp_path).start()
    with publishing(at(broker), Outbox(tmp_path / "outbox.sqlite", OutboxLimits())) as publisher:
        with Subscriber(broker.port) as subscriber:
            publisher.publish_retained(TOPICS.state("door"), b"online")
            publisher.publish_event(event(0))
            wait_for(lambda: numbers(subscriber) == [0], "the first event")
            broker.stop()
            for seq in range(1, 50):
                publisher.publish_event(event(seq))
            wait_for(lambda: publisher.statistics().outbox.rows == 49, "49 rows")
            wait_for(lambda: "nothing listens there" in caplog.text, "the sentence")
        broker.start()
        with Subscriber(broker.port) as subscriber:
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")
            subscriber.wait_for_payload(TOPICS.state("door"), b"online")
        assert publisher.statistics().connections == 2
        assert caplog.text.count("nothing listens there") == 1
    broker.stop()


def test_events_over_broken_connections_arrive_in_order_and_none_is_missing(broker: Broker, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", OutboxLimits())
    with Relay(broker.port) as relay, Subscriber(broker.port) as subscriber:
        settings = MqttConfig(host="127.0.0.1", port=relay.port)
        with publishing(settings, outbox) as publisher:
            for start in range(0, 400, 40):
                wait_for(lambda: publisher.statistics().connections > start // 40, "the next connection")  # noqa: B023
                for seq in range(start, start + 40):
                    publisher.publish_event(event(seq))
                wait_for(lambda: numbers(subscriber)[-1:] > [start], "some of them")  # noqa: B023
                relay.cut()
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")
            assert publisher.statistics().connections == 11
        wait_for(lambda: set(numbers(subscriber)) == set(range(400)), "all events")
    assert list(dict.fromkeys(numbers(subscriber))) == list(range(400))  # without what was sent twice


def test_events_are_timed_from_their_frame_to_the_acknowledgement(broker: Broker) -> None:
    with publishing(at(broker)) as publisher:
        publisher.publish_event(event(0, "of no frame"))
        captured = time.monotonic() - 5.0
        for seq in range(3):
            publisher.publish_event(replace(event(seq), captured=captured))
        wait_for(lambda: len(publisher.delivery_seconds) == 3, "three acknowledgements")
        assert all(5.0 <= seconds <= 5.0 + time.monotonic() - captured for seconds in publisher.delivery_seconds)


def test_the_thread_shows_that_it_is_active(broker: Broker) -> None:
    with publishing(at(broker)) as publisher:
        before = publisher.last_active
        wait_for(lambda: publisher.last_active > before, "another round, without anything to do")
