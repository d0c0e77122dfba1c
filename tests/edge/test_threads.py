"""Where no new thread can be started: whatever needs one logs that and retries."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import threads
from edge.commands import command_line
from edge.config.schema import CameraConfig
from edge.doctor.broker import broker as doctor_broker
from edge.doctor.camera import cameras as doctor_cameras
from edge.sensors import prometheus_page
from edge.sensors.prometheus_page import PrometheusPage
from edge.sensors.sensor_reader import SensorReader, SensorSource
from edge.sensors.sensor_reading import SensorReading
from edge.threads import ThreadError
from tests.support.broker import Broker, Subscriber
from tests.support.ports import free_port
from tests.support.publishing import at, event, impatient, numbers, publishing
from tests.support.started_daemon import write_video
from tests.support.tiny_model import write_tiny_model
from tests.support.waiting import PATIENCE, wait_for

__all__ = ["impatient"]
ENDLESS = 1 << 46  # bytes of stack, which no machine has


class NoThreads:
    """As long as it lasts the operating system gives this process none, for each asks for too much memory."""

    def begin(self) -> None:
        threading.stack_size(ENDLESS)

    def end(self) -> None:
        threading.stack_size(0)


@pytest.fixture
def none() -> Iterator[NoThreads]:
    found = NoThreads()
    yield found
    found.end()


def test_the_message_names_the_remedy(none: NoThreads) -> None:
    none.begin()
    with pytest.raises(ThreadError, match=r"no new thread can be started \(can't start new thread\): .* TasksMax"):
        threads.start("x", print)
    none.end()
    done = threading.Event()
    threads.start("x", done.set)
    assert done.wait(PATIENCE)


def test_a_model_that_cannot_be_opened_gives_a_one_sentence_error(
    none: NoThreads, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_tiny_model(tmp_path / "tiny.onnx")
    video = write_video(tmp_path / "video.avi", "..##")
    none.begin()
    status = command_line.main(["bench", str(video), "--model", str(model), "--quiet"])
    none.end()
    assert status == 1
    assert "tiny.onnx: no new thread can be started" in capsys.readouterr().err


@pytest.mark.usefixtures("impatient")
def test_the_broker_returns_while_no_thread_can_be_started(
    tmp_path: Path, none: NoThreads, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker(tmp_path)
    with publishing(at(broker)) as publisher, broker:
        wait_for(lambda: publisher.statistics().online, "the connection")
        none.begin()
        broker.stop()
        wait_for(lambda: "no new thread can be started" in str(publisher.statistics().fault), "the fault")
        broker.start()
        publisher.publish_event(event(0))
        turned = publisher.last_active
        wait_for(lambda: publisher.last_active > turned + 1.0, "some more trials")
        assert publisher.alive
        none.end()
        with Subscriber(broker.port) as subscriber:
            wait_for(lambda: publisher.statistics().online, "the connection")
            publisher.publish_event(event(1))
            wait_for(lambda: numbers(subscriber)[-1:] == [1], "the event")
    assert caplog.text.count("no new thread can be started") == 1


def test_the_page_for_prometheus_opens_when_there_are_threads_again(
    none: NoThreads, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(prometheus_page, "RETRY_SECONDS", 0.0)
    page = PrometheusPage("127.0.0.1", free_port())
    caplog.set_level("INFO")
    none.begin()
    for _ in range(3):
        page.update({})
    assert caplog.text.count("no new thread can be started") == 1
    none.end()
    page.update({})
    assert "http://127.0.0.1" in caplog.text
    none.begin()
    page.close()


def test_sensors_are_read_when_there_are_threads_again(none: NoThreads, caplog: pytest.LogCaptureFixture) -> None:
    source = SensorSource("made up", lambda: True, lambda stop: iter([SensorReading(source="made up")]))
    none.begin()
    sensors = SensorReader([source], retry=0.0)
    for _ in range(3):
        assert sensors.newest() is None
    assert caplog.text.count("no new thread can be started") == 1
    none.end()
    wait_for(sensors.newest, "a reading")
    sensors.close()


def test_the_doctor_reports_it_too(none: NoThreads, tmp_path: Path) -> None:
    """Of the cameras and of the broker, which is well as soon as there are threads again."""
    door = CameraConfig(source="rtsp://127.0.0.1:1/x")
    with Broker(tmp_path) as broker:
        none.begin()
        (cameras,) = doctor_cameras({"door": door}, service_runs=False, seconds=1.0)
        refused = doctor_broker(at(broker), "korsal/roof")
        none.end()
        finding = doctor_broker(at(broker), "korsal/roof")
    for found in (cameras, refused):
        assert found.level == "wrong"
        assert found.text.startswith("no new thread can be started (can't start new thread): end other programs")
    assert finding.level == "ok"
