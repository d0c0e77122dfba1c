"""`korsal-edge doctor` against real things that are broken, and others that are not."""

import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from edge import open_model
from edge.config.schema import CameraConfig, Config, MqttConfig
from edge.doctor import broker as doctor_broker
from edge.doctor import runtime as doctor_runtime
from edge.doctor.broker import broker
from edge.doctor.camera import argus, camera
from edge.doctor.doctor import credentials, doctor, examine, model, writable_configuration
from edge.doctor.finding import ok, warning, wrong
from edge.doctor.host import clips, clock_finding, device_access, disk, hidden_files, motion, opencv, service
from edge.doctor.runtime import gpu, runtime
from edge.engines.cuda_runtime import CudaError
from edge.engines.tensorrt_errors import TensorRtError
from tests.support import fake_device
from tests.support.broker import Broker, mosquitto
from tests.support.fake_gpu import fake_gpu
from tests.support.other_user import as_nobody, everybodys_folder
from tests.support.ports import free_port
from tests.support.spot_model import write_spot_model, write_spot_video


def configured(folder: Path, **tables: object) -> Config:
    """A configuration whose camera is a video in `folder`, played over and over."""
    whole = {"cameras": {"door": {"source": str(folder / "video.avi"), "loop": True}}, **tables}
    return Config.model_validate(whole)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model and a video."""
    write_spot_model(tmp_path / "spot.onnx")
    write_spot_video(tmp_path / "video.avi")
    return tmp_path


def test_findings_are_formatted() -> None:
    assert ok("disk", "has room").line() == "ok      disk: has room"
    assert warning("clock", "is not set", "set it").line() == "WARNING clock: is not set; set it"
    assert wrong("argus", "is not there", "start it").line() == "WRONG   argus: is not there; start it"


def test_a_whole_installation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "state").mkdir()
    with Broker(folder) as running:
        (folder / "config.toml").write_text(
            f'[model]\npath = "spot.onnx"\n[cameras.door]\nsource = "video.avi"\nloop = true\n'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {running.port}\n[outbox]\ndirectory = "state"\n'
        )
        assert doctor(folder / "config.toml") == 0
    output = capsys.readouterr().out
    for words in (
        "config.toml: is valid, 1 camera",
        "ok      model: ",
        "ok      speed: ",
        "ok      camera door: 160x120",
        f"ok      broker 127.0.0.1:{running.port}: connected, published and received on korsal/korsal-edge/doctor",
        "ok      state in",
        "0 wrong",
    ):
        assert words in output


def test_everything_wrong_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "spot.onnx").write_text("no model")
    (tmp_path / "state").write_text("a file where the directory should be")
    (tmp_path / "config.toml").write_text(
        '[model]\npath = "spot.onnx"\n[cameras.door]\nsource = "/dev/video97"\n[cameras.video]\nsource = "none.mp4"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {free_port()}\n[outbox]\ndirectory = "state"\n'
    )
    assert doctor(tmp_path / "config.toml") == 1
    output = capsys.readouterr().out
    for words in (
        "WRONG   model: ",
        "WRONG   camera door: /dev/video97: no such camera",
        "WRONG   camera video: ",
        "nothing listens there: start the broker",
        "waiting events would not survive a restart",
    ):
        assert words in output


def test_every_problem_of_a_wrong_configuration_is_listed(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[cameras.door]\nsuorce = "x"\n[mqtt]\nport = 0\n')
    found = list(examine(tmp_path / "config.toml", tmp_path))
    assert {finding.level for finding in found} == {"wrong"}
    assert "mqtt.port" in " ".join(finding.text for finding in found)


def test_a_camera_that_gives_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        found = camera("door", CameraConfig(source=f"tcp://127.0.0.1:{port}"), False, seconds=2)
    assert found.level == "wrong"
    assert "tcp://127.0.0.1" in found.text


def test_a_file_that_ends_is_no_camera(folder: Path) -> None:
    found = camera("door", CameraConfig(source=str(folder / "video.avi")), False)
    assert (found.level, found.remedy) == ("warning", "set loop = true to play it for ever")


def test_a_camera_that_the_service_holds_is_left_alone() -> None:
    found = camera("door", CameraConfig(source="/dev/video0"), True)
    assert found.level == "warning"
    assert "systemctl stop korsal-edge" in found.remedy


def test_argus(tmp_path: Path) -> None:
    assert "set restart_argus = true in [cameras]" in argus(tmp_path / "argus_socket").remedy
    assert "does so by itself" in argus(tmp_path / "argus_socket", restarts=True).remedy
    assert argus(tmp_path / "argus_socket").level == "wrong"
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(str(tmp_path / "argus_socket"))
        assert argus(tmp_path / "argus_socket").level == "wrong"  # nobody listens
        service.listen()
        assert argus(tmp_path / "argus_socket").level == "ok"


def settings(port: int, **more: object) -> MqttConfig:
    return MqttConfig.model_validate({"host": "127.0.0.1", "port": port, **more})


def test_a_broker_that_refuses_the_login(tmp_path: Path) -> None:
    with Broker(tmp_path, "allow_anonymous false") as running:
        found = broker(settings(running.port), "korsal/roof")
    assert found.level == "wrong"
    assert "it refused the login" in found.text


RIGHTS: dict[str, tuple[str, str, str]] = {
    "nothing": ("", "wrong", "publishing to korsal/roof/doctor failed"),
    "to write": ("topic write korsal/roof/#\n", "warning", "nothing arrived"),
    "all": ("topic readwrite korsal/roof/#\n", "ok", "connected, published and received"),
}


@pytest.mark.parametrize("name", RIGHTS)
def test_a_broker_that_grants_rights(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rules, level, words = RIGHTS[name]
    monkeypatch.setattr(doctor_broker, "ANSWER_SECONDS", 2.0)
    mosquitto()
    (tmp_path / "acl").write_text(rules or "topic read nothing\n")
    (tmp_path / "acl").chmod(0o644)
    with Broker(tmp_path, f"allow_anonymous true\nacl_file {tmp_path}/acl") as running:
        found = broker(settings(running.port), "korsal/roof")
    assert (found.level, words in found.text) == (level, True), found


def test_a_broker_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_broker, "ANSWER_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = broker(settings(silent.getsockname()[1]), "korsal/roof")
    assert found.level == "wrong"
    assert "no answer within 1 s" in found.text


def test_rights_on_devices(tmp_path: Path) -> None:
    assert device_access((tmp_path / "none",)) == []
    assert [finding.level for finding in device_access((Path("/dev/null"),))] == ["ok"]


def test_devices_that_may_not_be_opened() -> None:
    with everybodys_folder() as folder:
        device = folder / "video0"
        device.write_text("")
        device.chmod(0o660)
        with as_nobody():
            (found,) = device_access((device,))
    assert found.level == "wrong"
    assert "sudo usermod --append --groups" in found.remedy


def test_a_state_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert disk(tmp_path / "file", 1).level == "wrong"
    assert disk(Path("/proc/korsal-edge"), 1).level == "wrong"
    assert disk(tmp_path / "new", 1).level == "ok"


@pytest.mark.parametrize(
    ("tables", "found"),
    [
        ({}, []),
        ({"mqtt": {"allow_remote_config": True}}, [("wrong", "mqtt.allow_remote_config")]),
        ({"web": {"enabled": True}}, [("warning", "web.allow_changes")]),
        ({"web": {"enabled": True, "allow_changes": False}}, []),
    ],
)
def test_a_configuration_that_cannot_be_written(tables: dict[str, object], found: list[object], tmp_path: Path) -> None:
    config, path = configured(tmp_path, **tables), tmp_path / "config.toml"
    assert [(one.level, one.subject) for one in writable_configuration(config, path)] == found  # it is not there
    path.touch()
    assert not [*writable_configuration(config, path)]


def test_a_disk_that_is_nearly_full(tmp_path: Path) -> None:
    found = disk(tmp_path, 1 << 60)
    assert (found.level, "max_bytes" in found.remedy) == ("warning", True)


@pytest.mark.parametrize(("synced", "level"), [(True, "ok"), (False, "warning"), (None, "warning")])
def test_clocks(synced: bool | None, level: str) -> None:
    assert clock_finding(synced).level == level


def test_without_an_encoder_there_are_no_clips() -> None:
    assert clips("x264enc").level == "ok"
    found = clips(None)
    assert found.level == "warning"
    assert "korsal-edge[clips]" in found.line()


STATES = (
    ({"ActiveState": "active", "NRestarts": "0"}, "ok"),
    ({"ActiveState": "active", "NRestarts": "3"}, "warning"),
    ({"ActiveState": "activating", "NRestarts": "9"}, "wrong"),
    ({"ActiveState": "failed"}, "wrong"),
    ({"ActiveState": "inactive", "UnitFileState": "enabled"}, "ok"),
    ({"ActiveState": "inactive", "UnitFileState": "disabled"}, "warning"),
)


@pytest.mark.parametrize(("state", "level"), STATES)
def test_services(state: dict[str, str], level: str) -> None:
    assert service(state).level == level


def test_what_lies_in_homes_is_hidden_from_the_service(folder: Path) -> None:
    visible = configured(folder)
    assert hidden_files(visible.model, visible.cameras, Path("/etc/korsal-edge/config.toml")) == []
    homely = configured(
        folder, model={"path": Path("/home/me/my.onnx")}, cameras={"door": {"source": "/root/video.mp4"}}
    )
    found = hidden_files(homely.model, homely.cameras, Path("/home/me/config.toml"))
    assert [finding.subject for finding in found] == ["the configuration", "model.path", "cameras.door.source"]


def build(gstreamer: bool, file: str = "/usr/lib/python3/dist-packages/cv2.so") -> SimpleNamespace:
    """An OpenCV with or without GStreamer, and without cv2.cuda."""
    registry = SimpleNamespace(hasBackend=lambda _: gstreamer)
    return SimpleNamespace(__version__="4.8.0", __file__=file, videoio_registry=registry, CAP_GSTREAMER=1800)


def test_builds_of_opencv() -> None:
    csi, usb = {"roof": CameraConfig(source="csi://0")}, {"door": CameraConfig(source="/dev/video0")}
    assert [finding.level for finding in opencv(csi, build(True), jetson=True)] == ["ok"]
    assert [finding.level for finding in opencv(csi, build(False), jetson=True)] == ["wrong"]
    assert [finding.level for finding in opencv(usb, build(False), jetson=True)] == ["warning"]
    assert [finding.level for finding in opencv(usb, build(False), jetson=False)] == ["ok"]
    over = opencv(usb, build(True, f"{sys.prefix}/lib/cv2.so"), jetson=True)
    assert [finding.level for finding in over] == ["wrong", "ok"]
    assert "over that of JetPack" in over[0].text


def test_motion_on_the_cpu() -> None:
    assert motion(None, build(True), nvidia=False).level == "ok"
    assert motion("graph", build(True), nvidia=True).text == "is computed in the model's own graph"
    assert motion("cpu", build(True), nvidia=True).level == "warning"


def no_tensorrt() -> NoReturn:
    raise TensorRtError("TensorRT's Python bindings cannot be loaded (no module); install python3-libnvinfer")


def test_runtimes() -> None:
    for wanted, level in (("onnxruntime", "ok"), ("tensorrt", "wrong")):
        (found,) = runtime(wanted, no_tensorrt)
        assert found.level == level
    built = fake_gpu("10.3")
    found, device = runtime("auto", lambda: (built.trt, built.cuda))
    assert found.text == f"TensorRT {built.trt.__version__}"
    assert (device.level, device.text) == ("ok", "Orin (8.7), CUDA driver 12.6, runtime 12.6")


def test_a_runtime_newer_than_the_driver_that_works_all_the_same() -> None:
    built = fake_gpu("10.3")
    built.runtime.runtime = 12090
    found = gpu(built.cuda)
    assert found.level == "warning"
    assert "CUDA driver 12.6, runtime 12.9" in found.line()
    assert "cuda-cudart-12-6" in found.line()


def test_a_gpu_that_does_not_answer() -> None:
    built = fake_gpu("10.3")
    built.runtime.fail("cudaDeviceGetAttribute", "cudaErrorIllegalAddress")
    assert gpu(built.cuda).level == "wrong"


def test_a_fallback_to_the_cpu_on_a_machine_with_a_gpu_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> NoReturn:
        raise TensorRtError("CUDA's driver here is 12.6 and does not take the newer runtime 12.9; install that")

    monkeypatch.setattr(doctor_runtime, "NVIDIA_SIGNS", (Path("/"),))
    (found,) = runtime("auto", refuses)
    assert found.level == "warning"
    assert "driver here is 12.6" in found.line()


def test_why_the_model_falls_back_is_said_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with a GPU and no TensorRT; and no INT8 file, which is another reason."""
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    for place in (doctor_runtime, open_model):
        monkeypatch.setattr(place, "NVIDIA_SIGNS", (Path("/"),))
    for precision, levels in (("auto", ["ok", "ok"]), ("int8", ["ok", "warning", "ok"])):
        whole = configured(folder, model={"path": folder / "spot.onnx", "precision": precision})
        found = runtime("auto")
        findings = list(model(whole, told=[one.remedy for one in found]))
        assert [one.level for one in findings] == levels
        lines = " ".join(one.line() for one in (*found, *findings))
        assert lines.count("TensorRT's Python bindings cannot be loaded") == 1
        assert ("model.precision is int8" in lines) == (precision == "int8")


def test_why_the_gpu_does_not_answer_is_said_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = fake_device.use(fake_gpu("10.3"), monkeypatch)

    def refuses() -> NoReturn:
        raise CudaError("the GPU does not answer; start the machine again", "cudaErrorUnknown")

    monkeypatch.setattr(type(machine.cuda), "device", lambda cuda: refuses())
    found = runtime("auto")
    told = [reason for one in found for reason in (one.text, one.remedy)]
    whole = configured(folder, model={"path": folder / "spot.onnx"}, outbox={"directory": folder / "state"})
    findings = [*found, *model(whole, told=told)]
    assert [one.level for one in findings] == ["ok", "wrong", "ok", "ok"]
    assert sum("does not answer" in one.line() for one in findings) == 1


def test_an_action_that_the_model_does_not_know(folder: Path) -> None:
    whole = configured(folder, model={"path": folder / "spot.onnx"}, actions={"Flying": {"start_score": 0.5}})
    assert [finding.level for finding in model(whole)] == ["ok", "ok", "wrong"]


def mqtt(**keys: object) -> MqttConfig:
    return MqttConfig.model_validate(keys)


def test_passwords(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KORSAL_MQTT_PASSWORD", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert credentials(mqtt()) == ()
    named = {"username": "roof"}
    assert [finding.level for finding in credentials(mqtt(**named))] == ["warning"]
    (folder / "password").write_text("secret\n")
    (found,) = credentials(mqtt(**named, password_file=folder / "password"))
    assert found.level == "ok"
    assert "secret" not in found.line()
    (found,) = credentials(mqtt(**named, password_file=folder / "none"))
    assert found.level == "wrong"
