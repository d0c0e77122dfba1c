"""What a report has of the service, its devices, its model and its engines."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from edge.config.schema import Config
from edge.doctor.masking import masked
from edge.doctor.model_records import build_logs, engines, model
from edge.doctor.report import NUMBERED, RECORDS, Gathered, text_of
from edge.doctor.service_records import DROP_IN, devices, journal, units
from edge.engines import engine_record
from tests.support.engine_record import RECORD
from tests.support.paths import ROOT

LOGGED = "2026-11-29T10:00:00+0000 korsal-edge[7]: WARNING broker old.example:1883: refused by 10.1.2.3"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that comes first."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_the_newest_lines_of_the_three_units_without_hosts(programs: Path) -> None:
    program(programs, "journalctl", f"echo \"$@\" >> {programs}/asked\necho '{LOGGED}'")
    lines = list(journal())
    asked = (programs / "asked").read_text().splitlines()
    assert [line.split("--unit=")[1] for line in asked] == [
        "korsal-edge.service --lines=200",
        "korsal-edge-machine.service --lines=20",
        "nvargus-daemon.service --lines=50",
    ]
    assert all("--no-hostname" in line for line in asked)
    assert lines.count(LOGGED) == 3
    text = text_of(Gathered({"journal": lines}), ())
    assert "WARNING broker ***:1883: refused by ***" in text
    assert "old.example" not in text


def test_a_journal_that_this_user_may_not_read(programs: Path) -> None:
    program(programs, "journalctl", "exit 1")
    assert list(journal())[1] == "cannot be read by this user (journalctl: status 1)"


def test_no_systemd_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert next(units()) == "korsal-edge.service: no systemd here"
    assert "cannot be read ([Errno 2] No such file or directory: 'journalctl')" in list(journal())


def test_the_state_of_units_without_what_is_not_set(programs: Path) -> None:
    program(programs, "systemctl", "printf 'ActiveState=active\\nStatusText=\\nMemoryPeak=[not set]\\nNRestarts=3\\n'")
    assert next(units()) == "korsal-edge.service: ActiveState=active, NRestarts=3"


def test_device_nodes_with_their_names_and_the_service_s_list(tmp_path: Path) -> None:
    name = tmp_path / "sys/class/video4linux/video0/name"
    dropin = tmp_path / DROP_IN.relative_to("/")
    for path, text in ((name, "vi-output, imx219\n"), (dropin, "# ours\n[Service]\nDeviceAllow=/dev/nvmap rw\n")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert next(devices(tmp_path)) == "none of a camera or a GPU"
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/video0").symlink_to("/dev/null")
    assert list(devices(tmp_path)) == [
        "root:root 666 /dev/video0 vi-output, imx219",
        f"-- {DROP_IN}",
        "[Service]",
        "DeviceAllow=/dev/nvmap rw",
    ]


def test_the_model_s_files_with_hashes() -> None:
    config = Config.model_validate({"cameras": {"a": {"source": "x"}}, "model": {"runtime": "onnxruntime"}})
    lines = list(model(config))
    assert lines[0] == "runtime onnxruntime, precision auto, preprocessing auto"
    assert any(line.startswith("* runs here, in ") for line in lines)
    hashed = [line for line in lines if line.startswith("sha256 ")]
    assert len(hashed) == len(list((ROOT / "models").glob("*.onnx")))


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    missing = {"cameras": {"a": {"source": "x"}}, "model": {"path": tmp_path / "none.onnx"}}
    assert "No such file" in list(model(Config.model_validate(missing)))[-1]
    assert list(model(None)) == ["unknown, as the configuration cannot be read"]


def test_engines_with_their_records_and_logs(tmp_path: Path) -> None:
    assert next(engines(tmp_path)) == "no engine is in the cache"
    folder = tmp_path / "street"
    folder.mkdir()
    for number, name in enumerate(("whole", "bare")):
        (folder / f"{name}.engine").write_bytes(b"x" * 1_500_000)
        os.utime(folder / f"{name}.engine", (number, number))
    engine_record.beside(folder / "whole.engine").write_text(
        engine_record.to_json(replace(RECORD, platform=replace(RECORD.platform, tensorrt="10.3.0.30")))
    )
    bare, whole, log = engines(tmp_path)
    assert bare.startswith("street/bare.engine, 1.5 MB, 1970-01-01T00:00:01Z: no record (")
    assert whole.startswith("street/whole.engine, 1.5 MB, 1970-01-01T00:00:00Z: fp16, ")
    assert log.startswith("no build log")
    assert "10.3.0.30" in text_of(Gathered({"engines": [whole]}), ())  # a version, not an address


def test_build_logs_are_the_newest_and_bounded(tmp_path: Path) -> None:
    for number in range(8):
        log = tmp_path / f"model{number}" / "ab12.log"
        log.parent.mkdir()
        log.write_text(f"line {number}\n" * 1000)
        os.utime(log, (number, number))
    lines = list(build_logs(tmp_path))
    assert [line for line in lines if line.startswith("--")] == [
        f"-- model{number}/ab12.log, 1970-01-01T00:00:0{number}Z" for number in (7, 6, 5, 4, 3, 2)
    ]
    assert len(lines) == 6 * 401
    (tmp_path / "model0" / "ab12.failed").write_text('{"reason": "no such layer"}')
    assert list(build_logs(tmp_path))[len(lines) :] == [
        "-- model0, a build that failed, as it is remembered in ab12.failed",
        '{"reason": "no such layer"}',
    ]


def test_what_may_hold_addresses_is_searched_for_them() -> None:
    assert NUMBERED & set(RECORDS) == {"devices"}
    assert masked("broker mq.example:8883 and broker localhost:1883", ()) == "broker ***:8883 and broker localhost:1883"
