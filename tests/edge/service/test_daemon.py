import contextlib
import json
import os
import signal
import socket
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge.broker.outbox import Outbox, OutboxLimits
from tests.support.broker import Broker, Subscriber
from tests.support.ports import free_port
from tests.support.started_daemon import (
    BASE,
    PROGRAM,
    SCHEMA,
    LiveStream,
    events_of,
    play,
    running,
    start,
    write_config,
    write_video,
)
from tests.support.waiting import PATIENCE, wait_for

WITH_TENSORRT = """
import signal
import sys
from tests.support.fake_gpu import fake_gpu
from edge.engines import cuda_runtime
gpu = fake_gpu(sys.argv[2])
sys.modules["tensorrt"] = gpu.trt
cuda_runtime.installed = lambda: gpu.cuda
build = gpu.trt.Builder.build_serialized_network


def until_stopped(builder, network, config):
    monitor = getattr(config, "progress_monitor", None)  # 8.6 has none, and goes on to its end
    if monitor is None:
        while not signal.getsignal(signal.SIGTERM).__self__.stop_requested:
            pass
    else:
        monitor.phase_start("Timing", None, 10**9)
        assert not all(monitor.step_complete("Timing", step) for step in range(10**9))
    return build(builder, network, config)


if "--slow" in sys.argv:
    gpu.trt.Builder.build_serialized_network = until_stopped
from pathlib import Path
from edge.config.config_file import load
from edge.service.daemon import run
file = Path(sys.argv[1])
status = run(load(file), file)
assert gpu.runtime.leaks == 0
sys.exit(status)
"""


def steps(events: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(event["type"], event["seq"]) for event in events]


def test_a_video_becomes_events_that_fit_the_schema(tmp_path: Path, broker: Broker, subscriber: Subscriber) -> None:
    # 10 frames a second: 1 s dark, 3 s bright, 4 s dark, 1 s bright
    write_video(tmp_path / "video.avi", "." * 10 + "#" * 30 + "." * 40 + "#" * 10)
    clear = "[actions.default]\nstart_score = 0.5\nkeep_score = 0.3\n"
    play(write_config(tmp_path, broker.port, {"door": "video.avi"}, clear))
    subscriber.wait_for_payload(f"{BASE}/available", b"offline")
    found = subscriber.events()
    for event in found:
        SCHEMA.validate(event)
    first = [event for event in found if event["event_id"] == found[0]["event_id"]]
    second = [event for event in found if event["event_id"] != found[0]["event_id"]]
    assert steps(first)[0] == ("new", 0)
    assert [event["seq"] for event in first] == list(range(len(first)))
    assert first[-1]["type"] == "end"
    assert first[-1]["reason_ended"] == "score"
    assert 2.5 < first[-1]["duration"] < 3.5
    assert second[-1]["reason_ended"] == "camera"  # the video was over
    assert {event["action"] for event in found} == {"Shine"}
    assert found[0]["model"]["name"] == "tiny"
    assert {message.topic for message in subscriber.messages if "/actions/" in message.topic} == {
        f"{BASE}/door/actions/Shine"
    }


def test_retained_messages_describe_what_runs(tmp_path: Path, broker: Broker, subscriber: Subscriber) -> None:
    write_video(tmp_path / "video.avi", "#" * 5)
    play(write_config(tmp_path, broker.port, {"door": "video.avi"}))
    subscriber.wait_for_payload(f"{BASE}/available", b"offline")
    assert subscriber.payloads(f"{BASE}/available") == [b"online", b"offline"]
    assert subscriber.payloads(f"{BASE}/door/state")[-1] == b"offline"
    status = json.loads(subscriber.payloads(f"{BASE}/status")[-1])
    assert (status["model"]["name"], status["labels"]) == ("tiny", ["Shine", "Rest"])
    assert status["cameras"] == {"door": f"{tmp_path}/video.avi"}
    assert all(message.retain for message in subscriber.messages if "/actions/" not in message.topic)


def test_two_videos_are_played_side_by_side_despite_a_damaged_one(
    tmp_path: Path, broker: Broker, subscriber: Subscriber
) -> None:
    write_video(tmp_path / "a.avi", "#" * 20)
    with write_video(tmp_path / "b.avi", "#" * 20).open("r+b") as video:
        video.seek(-video.seek(0, os.SEEK_END) // 2, os.SEEK_END)
        video.write(bytes(4000))
    play(write_config(tmp_path, broker.port, {"a": "a.avi", "b": "b.avi"}))
    subscriber.wait_for_payload(f"{BASE}/available", b"offline")
    assert [event["type"] for event in subscriber.events() if event["camera"] == "a"][-1] == "end"


def test_without_a_broker_events_wait_for_the_next_start(tmp_path: Path) -> None:
    write_video(tmp_path / "video.avi", "#" * 20)
    port = free_port()
    config = write_config(tmp_path, port, {"door": "video.avi"})
    output = play(config)
    assert output.count("nothing listens there: start the broker") == 1
    assert "messages wait for the next start" in output
    waiting = Outbox(tmp_path / "state" / "roof.outbox.sqlite", OutboxLimits())
    stored = [(row.topic, row.message.event_id) for row in waiting.pending(0, 100)]
    waiting.close()
    assert len(stored) >= 2
    with Broker(tmp_path, port=port), Subscriber(port) as subscriber:
        play(config)
        subscriber.wait_for_payload(f"{BASE}/available", b"offline")
        for topic in {topic for topic, _ in stored}:  # one action may overtake another, its own messages never
            mine = [event for place, event in stored if place == topic]
            arrived = [json.loads(message.payload) for message in subscriber.messages if message.topic == topic]
            assert [event["event_id"] for event in arrived][: len(mine)] == mine


def test_a_wrong_password_is_logged_in_one_sentence_and_events_wait_for_the_right_one(tmp_path: Path) -> None:
    write_video(tmp_path / "video.avi", "#" * 20)
    passwords, mine = tmp_path / "passwords", tmp_path / "mine"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "korsal", "right horse"], check=True)
    passwords.chmod(0o644)
    mine.write_text("wrong horse")
    with Broker(tmp_path, f"allow_anonymous false\npassword_file {passwords}") as broker:
        config = write_config(tmp_path, broker.port, {"door": "video.avi"})
        config.write_text(
            config.read_text().replace("[outbox]", 'username = "korsal"\npassword_file = "mine"\n[outbox]')
        )
        output = play(config)
        assert output.count("it refused the login: ") == 1
        assert "messages wait for the next start" in output
        assert "horse" not in output
        mine.write_text("right horse")
        with Subscriber(broker.port, username="korsal", password="right horse") as subscriber:
            play(config)
            subscriber.wait_for_payload(f"{BASE}/available", b"offline")
            starts = [event for event in subscriber.events() if event["type"] == "new"]
    actions = [event["action"] for event in starts]
    assert actions[: len(actions) // 2] == actions[len(actions) // 2 :]  # the first play's, then the second's
    assert len({event["event_id"] for event in starts}) == len(starts) >= 2


def test_sigterm_ends_open_events_and_publishes_offline(
    tmp_path: Path, broker: Broker, subscriber: Subscriber, stream: LiveStream
) -> None:
    config = write_config(tmp_path, broker.port, {"door": stream.url}, "[telemetry]\ninterval = 0.2\n")
    with running(config) as daemon:
        wait_for(subscriber.events, "an event")
        wait_for(lambda: len(subscriber.on(f"{BASE}/telemetry")) > 2, "telemetry")
        daemon.send_signal(signal.SIGTERM)
        _, output = daemon.communicate(timeout=PATIENCE)
    assert daemon.returncode == 0, output
    subscriber.wait_for_payload(f"{BASE}/available", b"offline")
    last = subscriber.events()[-1]
    assert (last["type"], last["reason_ended"]) == ("end", "shutdown")
    assert subscriber.payloads(f"{BASE}/door/state")[-2:] == [b"online", b"offline"]
    report = json.loads(subscriber.payloads(f"{BASE}/telemetry")[-1])
    assert report["frames"]["door"] > 0
    assert set(report["latency_ms"]) >= {"preprocess", "network", "link", "events", "capture_to_outbox"}
    assert {"p50", "p95", "p99"} == set(report["latency_ms"]["network"])
    active = [json.loads(payload) for payload in subscriber.payloads(f"{BASE}/door/active")]
    actions = {event["action"] for event in subscriber.events()}
    assert {action for counts in active for action, count in counts.items() if count} == actions
    assert active[0] == active[-1] == {"Shine": 0, "Rest": 0}


def test_a_killed_daemon_is_reported_by_its_last_will(
    tmp_path: Path, broker: Broker, subscriber: Subscriber, stream: LiveStream
) -> None:
    with running(write_config(tmp_path, broker.port, {"door": stream.url})) as daemon:
        wait_for(subscriber.events, "an event")
        daemon.kill()
        subscriber.wait_for_payload(f"{BASE}/available", b"offline")


def test_an_absent_camera_is_reported_and_affects_nothing_else(
    tmp_path: Path, broker: Broker, subscriber: Subscriber, stream: LiveStream
) -> None:
    cameras = {"door": "/dev/video97", "yard": stream.url}
    with running(write_config(tmp_path, broker.port, cameras)) as daemon:
        wait_for(subscriber.events, "an event")
        subscriber.wait_for_payload(f"{BASE}/door/state", b"offline")
        daemon.send_signal(signal.SIGINT)
        _, output = daemon.communicate(timeout=PATIENCE)
    assert daemon.returncode == 0
    assert "camera door: offline: /dev/video97" in output
    assert {event["camera"] for event in subscriber.events()} == {"yard"}


def test_a_reload_takes_what_is_right_and_refuses_what_is_wrong(
    tmp_path: Path, broker: Broker, subscriber: Subscriber, stream: LiveStream
) -> None:
    stream.bright = False
    config = write_config(tmp_path, broker.port, {"door": stream.url}, "[telemetry]\ninterval = 0\n")
    text = config.read_text()
    status = f"{BASE}/status"
    with running(config) as daemon:
        subscriber.wait_for_payload(f"{BASE}/door/state", b"online")
        config.write_text(text.replace("interval = 0", "interval = -1"))
        daemon.send_signal(signal.SIGHUP)
        assert daemon.stderr is not None
        lines: list[str] = []
        while not any("the old configuration stays in force" in line for line in lines):
            lines.append(daemon.stderr.readline())
        assert "telemetry.interval: should be greater than or equal to 0" in lines[-1]
        changed = text.replace("interval = 0", "interval = 0.1").replace("threads = 1", "threads = 2")
        config.write_text(changed)
        daemon.send_signal(signal.SIGHUP)
        wait_for(lambda: subscriber.on(f"{BASE}/telemetry"), "telemetry")
        first = json.loads(subscriber.payloads(status)[0])
        wait_for(lambda: json.loads(subscriber.payloads(status)[-1])["needs_restart"] == ["model"], "the new status")
        assert json.loads(subscriber.payloads(status)[-1])["config"] != first["config"]


def test_a_reload_takes_cameras_in_out_and_over(
    tmp_path: Path, broker: Broker, subscriber: Subscriber, stream: LiveStream
) -> None:
    """Without a restart: one leaves, one comes, one is reopened; all or none where one cannot be opened."""
    other = LiveStream()
    with contextlib.closing(other):
        config = write_config(tmp_path, broker.port, {"door": stream.url, "yard": other.url})
        text = config.read_text()
        door, yard = (
            f'[cameras.{name}]\nsource = "{url}"\n' for name, url in (("door", stream.url), ("yard", other.url))
        )
        with running(config) as daemon:
            for name in ("door", "yard"):
                subscriber.wait_for_payload(f"{BASE}/{name}/state", b"online")
            for name in ("door", "yard"):
                wait_for(partial(events_of, subscriber, name, "new"), f"an event of {name}")
            config.write_text(text.replace(yard, yard + '[cameras.video]\nsource = "nowhere.avi"\n'))
            daemon.send_signal(signal.SIGHUP)
            stderr = daemon.stderr
            assert stderr is not None
            wait_for(lambda: "nowhere.avi" in stderr.readline(), "the refusal")
            config.write_text(
                text.replace(yard, "").replace(door, door + 'flip = "both"\n') + yard.replace("yard", "hall")
            )
            daemon.send_signal(signal.SIGHUP)
            subscriber.wait_for_payload(f"{BASE}/hall/state", b"online")
            subscriber.wait_for_payload(f"{BASE}/yard/state", b"")
            wait_for(lambda: events_of(subscriber, "yard", "end"), "the end of what went on in the yard")
            assert {event["reason_ended"] for event in events_of(subscriber, "yard", "end")} == {"camera"}
            wait_for(lambda: events_of(subscriber, "door", "end"), "the end of what went on before the flip")
            ended = len(events_of(subscriber, "door", "new"))
            wait_for(lambda: len(events_of(subscriber, "door", "new")) > ended, "what goes on after it")
            assert json.loads(subscriber.payloads(f"{BASE}/status")[-1])["needs_restart"] == []


@pytest.mark.parametrize("runtime", ["onnxruntime", "tensorrt"])
def test_eight_cameras_share_an_engine_and_none_waits_for_a_slow_or_dead_one(
    runtime: str, tmp_path: Path, broker: Broker, subscriber: Subscriber
) -> None:
    """One by one in ONNX Runtime, as this model is for one image; in batches in TensorRT, which is a fake."""
    streams = [LiveStream() for _ in range(6)]
    slow = LiveStream(seconds=1.0)
    with contextlib.ExitStack() as owned:
        for one in (*streams, slow):
            owned.callback(one.close)
        urls = {f"c{number}": one.url for number, one in enumerate(streams)}
        urls |= {"slow": slow.url, "dead": "rtsp://127.0.0.1:9/none"}
        config = write_config(tmp_path, broker.port, urls, "[telemetry]\ninterval = 1\n", runtime)
        config.write_text(config.read_text().replace("threads = 1", "threads = 1\nmax_batch = 8"))
        with running(config, program=PROGRAM if runtime == "onnxruntime" else WITH_TENSORRT):
            for name in urls.keys() - {"dead"}:
                wait_for(partial(events_of, subscriber, name, "new"), f"an event of {name}")
            seen = len(subscriber.on(f"{BASE}/telemetry"))
            wait_for(lambda: len(subscriber.on(f"{BASE}/telemetry")) >= seen + 3, "telemetry", 30)
            frames = json.loads(subscriber.payloads(f"{BASE}/telemetry")[-1])["frames"]
            assert frames["dead"] == 0
            fast = [frames[f"c{number}"] for number in range(6)]
            assert min(fast) > 3 * frames["slow"]
            assert min(fast) > 0.5 * max(fast)


@pytest.mark.parametrize("module", ["edge.commands.command_line", "edge.service.daemon", "cv2", "onnxruntime"])
def test_a_reload_that_is_asked_for_during_the_start_ends_nothing(tmp_path: Path, module: str) -> None:
    """SIGHUP comes while `module` is imported; the video is played, and the configuration read once more."""
    config = write_config(tmp_path, free_port(), {"video": str(write_video(tmp_path / "video.avi", "..##"))})
    program = f"""
import os, signal, sys
from importlib.abc import MetaPathFinder


class HangUp(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGHUP)


sys.meta_path.insert(0, HangUp())
from edge.__main__ import main
sys.exit(main(["run", "--config", sys.argv[1]]))
"""
    process = start(config, program=program)
    _, output = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert "config.toml is in force, requested by SIGHUP: nothing has changed" in output


def test_systemd_gets_status_messages(
    tmp_path: Path, broker: Broker, subscriber: Subscriber, stream: LiveStream
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        config = write_config(tmp_path, broker.port, {"door": stream.url})
        with running(config, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="300000") as daemon:
            assert systemd.recv(100) == b"READY=1"
            assert [systemd.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            daemon.send_signal(signal.SIGTERM)
            received = b""
            while received != b"STOPPING=1":
                received = systemd.recv(100)
            daemon.communicate(timeout=PATIENCE)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("video.avi", None, "video.avi: no such file: check the path"),
        ("video.avi", b"no video", "video.avi: is text, not video"),
        ("tiny.onnx", b"no model", "tiny.onnx"),
    ],
)
def test_impossible_commands_exit_1_with_one_sentence(
    tmp_path: Path, name: str, content: bytes | None, sentence: str
) -> None:
    write_video(tmp_path / "video.avi", "#" * 3)
    config = write_config(tmp_path, free_port(), {"door": "video.avi"})
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    process = start(config)
    _, output = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert sentence in output
    assert len(output.strip().splitlines()) == 1, output


def test_an_action_that_the_model_does_not_know_is_reported(tmp_path: Path) -> None:
    write_video(tmp_path / "video.avi", "#" * 3)
    process = start(write_config(tmp_path, free_port(), {"door": "video.avi"}, "[actions.shine]\nstart_score = 0.9\n"))
    _, output = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "actions.shine: the model knows no such action; did you mean Shine?" in output


def test_it_runs_on_tensorrt_and_gives_the_gpu_back(tmp_path: Path, broker: Broker, subscriber: Subscriber) -> None:
    write_video(tmp_path / "video.avi", "#" * 20)
    config = write_config(tmp_path, broker.port, {"door": "video.avi"}, runtime="auto")
    process = start(config, "10.3", program=WITH_TENSORRT)
    _, output = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert "running tiny with tensorrt 10.3.0 fp32, cameras: door" in output
    subscriber.wait_for_payload(f"{BASE}/available", b"offline")
    assert "Shine" in {event["action"] for event in subscriber.events()}
    assert len(list((tmp_path / "state" / "engines").rglob("*.engine"))) == 1


@pytest.mark.parametrize(("version", "last_line", "built"), [("10.3", b": Timing 0%", 0), ("8.6", b"tiny.onnx", 1)])
def test_sigterm_ends_a_build(version: str, last_line: bytes, built: int, tmp_path: Path) -> None:
    """At its next step; where TensorRT has no monitor, after it: then the engine stays for the next start."""
    write_video(tmp_path / "video.avi", "#" * 3)
    config = write_config(tmp_path, free_port(), {"door": "video.avi"}, runtime="auto")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        process = start(config, version, "--slow", program=WITH_TENSORRT, NOTIFY_SOCKET=str(tmp_path / "notify"))
        received = b""
        while not received.endswith(last_line):
            received = systemd.recv(300)
        assert received.startswith(b"EXTEND_TIMEOUT_USEC=3600000000\nSTATUS=Building the TensorRT engine of tiny.onnx")
        process.send_signal(signal.SIGTERM)
        _, output = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert "stopped before the engine was built" in output
    assert "Traceback" not in output
    left = [path.suffix for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert left.count(".engine") == built
    assert ".partial" not in left


def test_requesting_an_absent_tensorrt_gives_a_one_sentence_error(tmp_path: Path) -> None:
    write_video(tmp_path / "video.avi", "#" * 3)
    config = write_config(tmp_path, free_port(), {"door": "video.avi"}, runtime="tensorrt")
    process = start(config, program=f'import sys; sys.modules["tensorrt"] = None{PROGRAM}')
    _, output = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "ERROR edge.service.daemon: model.runtime is tensorrt, but " in output
    assert len(output.strip().splitlines()) == 1, output
