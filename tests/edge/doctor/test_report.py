"""The report: whole or explained, private, never over another file, and without a secret."""

import json
import multiprocessing
import os
import stat
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from edge.config.config_file import load
from edge.config.schema import Config
from edge.doctor import report as reports
from edge.doctor import versions
from edge.doctor.known_secrets import secrets_of
from edge.doctor.report import Gathered, ReportError, gather, report, text_of
from edge.doctor.telemetry_sample import sample
from tests.support.broker import Broker
from tests.support.fake_http_camera import FakeHttpCamera
from tests.support.other_user import as_nobody, everybodys_folder
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.real_daemon import QUICK_EVENTS, Daemon, Witness

pytest_plugins = "tests.support.watched_door"

PLANTED = (
    "Plant01user", "Plant02pass", "plant03.example", "Plant04path", "Plant05token", "Plant06mqttuser",
    "Plant07mqttpass", "Plant08env", "Plant09misplaced", "plant10host", "Plant11home", "Plant12line2",
    "Plant13comment", "Plant14sudo", "10.11.12.13", "Plant15key",
)  # fmt: skip


def planted(folder: Path, port: int) -> Path:
    """A configuration full of secrets, some of them in wrong places."""
    (folder / "secret-password").write_text("Plant07mqttpass\nPlant12line2\n")
    (folder / "Plant15key.pem").write_text("Plant15key\n")
    (folder / "config.toml").write_text(
        "# Plant13comment\n[model]\nruntime = 'onnxruntime'\n"
        "[cameras.door]\nsource = 'rtsp://Plant01user:Plant02pass@plant03.example/Plant04path?token=Plant05token'\n"
        "[cameras.film]\nsource = '/home/Plant11home/clip.avi'\nloop = true\n"
        "[cameras.roof]\nsource = 'http://10.11.12.13/plant10host'\n"
        f"[mqtt]\nhost = '127.0.0.1'\nport = {port}\nusername = 'Plant06mqttuser'\npassword_file = 'secret-password'\n"
        "[outbox]\ndirectory = 'state'\n"
    )
    return folder / "config.toml"


def run_report(config: Path, target: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "edge", "doctor", "--config", str(config), "--report", str(target)]
    return subprocess.run(
        command,
        cwd=config.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("sound", "damaged"),
    [
        ("", ""),
        ("port = ", "port = 'Plant09misplaced'\nkeepalive = "),
        ("[model]\n", "x = 'Plant09misplaced"),
        ("runtime = 'onnxruntime'", "path = 'none.onnx'"),
    ],
)
def test_no_secret_of_configuration_or_environment_is_in_it(tmp_path: Path, sound: str, damaged: str) -> None:
    config = planted(tmp_path, free_port())
    config.write_text(config.read_text().replace(sound, damaged, 1))
    target = tmp_path / "report.txt"
    done = run_report(
        config, target, KORSAL_MQTT_PASSWORD="Plant08env", MY_API_TOKEN="Plant08env", SUDO_USER="Plant14sudo"
    )
    assert done.returncode == 1, done.stderr
    text = target.read_text()
    assert "Traceback" not in done.stderr
    assert [secret for secret in PLANTED if secret.lower() in text.lower()] == []
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    for section in (
        "system",
        "packages",
        "OpenCV",
        "GStreamer's elements",
        "NVIDIA",
        "devices",
        "units",
        "journal",
        "checks",
        "model",
        "engines",
        "telemetry",
        "complete",
    ):
        assert f"\n== {section}" in text
    assert "from this machine's sensors, as no running service was heard" in text
    assert len(text) < 200_000


def test_a_running_service_s_telemetry_is_in_it(daemon: Daemon, tmp_path: Path, camera: FakeHttpCamera) -> None:
    target = tmp_path / "report.txt"
    done = run_report(daemon.config, target)
    assert target.exists(), done.stderr
    text = target.read_text()
    lines = text[text.index("== telemetry") :].splitlines()
    assert lines[1] == "from the running service, over its broker"
    assert json.loads(lines[2])["schema"] == 1
    assert "camera door: 64x48" in text


def test_without_its_broker_the_page_of_a_running_service_is_read(tmp_path: Path, camera: FakeHttpCamera) -> None:
    port = free_port()
    with Daemon(tmp_path, free_port(), {"door": camera.url}, f"{QUICK_EVENTS}[metrics]\nport = {port}\n") as daemon:
        daemon.wait_for_log("camera door: online")
        daemon.wait_for_log("metrics: http://")  # with the first telemetry
        first, *lines = sample(load(daemon.config), seconds=0.2)
    assert first == "from the running service's page for Prometheus"
    assert any(line.startswith('korsal_camera_stalls_total{camera="door"') for line in lines)
    assert not any(line.startswith("#") for line in lines)


def test_without_a_broker_the_sensors_are_read(tmp_path: Path) -> None:
    config = Config.model_validate(
        {"cameras": {"a": {"source": "x"}}, "mqtt": {"host": "127.0.0.1", "port": free_port()}}
    )
    for known in (config, None):
        first, *readings = sample(known, seconds=0.2)
        assert first.startswith("from this machine's sensors")
        assert set(json.loads(readings[0])) == {"hardware", "process"}


def test_another_file_is_never_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.write_text("mine")
    with pytest.raises(ReportError, match="mine: exists already; name another file, or remove it"):
        report(tmp_path / "config.toml", target)
    assert target.read_text() == "mine"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="there is no such folder; make it, or name another place"):
        report(tmp_path / "config.toml", tmp_path / "none" / "report.txt")


def test_a_folder_that_may_not_be_written() -> None:
    with everybodys_folder() as folder, as_nobody(), pytest.raises(ReportError, match="this user may not write there"):
        report(folder / "config.toml", folder / "report.txt")


def crashing(sink: Connection, config: Path, seconds: float) -> None:
    sink.send(("system", None))
    sink.send(("system", "whole"))
    sink.send(("NVIDIA", None))
    os.abort()


def hanging(sink: Connection, config: Path, seconds: float) -> None:
    sink.send(("NVIDIA", None))
    time.sleep(600)


def test_a_driver_that_crashes_costs_only_what_comes_after(tmp_path: Path) -> None:
    found = gather(tmp_path / "none.toml", 0.1, crashing)
    assert found.sections == {"system": ["whole"], "NVIDIA": []}
    assert found.ended == "== ended early: its process ended in 'NVIDIA' with code -6"
    assert text_of(found, ()).endswith(f"{found.ended}\n")


def test_a_driver_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "SILENCE_SECONDS", 20.0)
    others = set(multiprocessing.active_children())
    found = gather(tmp_path / "none.toml", 0.1, hanging)
    assert found.ended == "== ended early: nothing more came from 'NVIDIA' in 20 s"
    assert set(multiprocessing.active_children()) <= others


def test_versions_are_not_taken_for_addresses() -> None:
    text = text_of(Gathered({"packages": ["tensorrt 10.3.0.30"], "checks": ["at 10.3.0.30"]}), ())
    assert "tensorrt 10.3.0.30" in text
    assert "at ***" in text


def test_a_jetson_s_versions(tmp_path: Path) -> None:
    for name, content in (
        ("etc/os-release", 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\n'),
        ("etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"),
        ("proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    lines = list(versions.system(tmp_path))
    assert "system Ubuntu 22.04.5 LTS" in lines
    assert "board NVIDIA Jetson Orin Nano Developer Kit" in lines
    assert any(line.startswith("L4T # R36 (release), REVISION: 4.3") for line in lines)


def test_the_folder_of_the_configuration_is_hidden(tmp_path: Path) -> None:
    config = tmp_path / "acme-plant" / "config.toml"
    config.parent.mkdir()
    done = run_report(config, tmp_path / "report.txt")
    text = (tmp_path / "report.txt").read_text()
    assert done.returncode == 1
    assert "acme-plant" not in text
    assert str(ROOT) not in text
    assert "***/config.toml" in text
    assert "/etc/korsal-edge" not in secrets_of(Path("/etc/korsal-edge/config.toml"), {})
    assert "/" not in secrets_of(Path("/config.toml"), {})


def test_secrets_are_found_in_files_that_are_no_configuration(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    for content, expected in (
        (b"[mqtt\nx = 'Hidden1'", "Hidden1"),
        (b"\xff\xfe", None),
        (b"cameras = 3\nmqtt = 4", None),
    ):
        file.write_bytes(content)
        found = list(secrets_of(file, {}))
        assert expected is None or expected in found
    assert "value9" in secrets_of(tmp_path / "none", {"DB_PASSWORD": "value9", "PATH_TOKEN": "/a/b"})


def test_the_broker_of_a_test_is_not_left_waiting(tmp_path: Path) -> None:
    """A broker without telemetry: after the interval it is given up."""
    with Broker(tmp_path) as broker, Witness(broker.port):
        config = Config.model_validate(
            {
                "cameras": {"a": {"source": "x"}},
                "mqtt": {"host": "127.0.0.1", "port": broker.port},
                "telemetry": {"interval": 0.1},
            }
        )
        assert next(sample(config, seconds=0.3)).startswith("from this machine's sensors")
