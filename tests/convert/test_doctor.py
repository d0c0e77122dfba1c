"""`korsal-convert doctor`, and what all commands say where a package is missing."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from convert.commands import doctor
from convert.commands.doctor import NEEDED_BY, Need, finding, main, needs
from tests.support.paths import ROOT

CODE = """
import sys
sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(","), None))  # Python takes them for missing
from {module} import main
sys.exit(main())
"""
EVERYTHING = "numpy,cv2,lap,onnx,onnxruntime,torch,tensorrt,torch2trt,onnx_graphsurgeon,modelopt"


def run(module: str, missing: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CODE.format(module=module), missing, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("module", "package", "name"),
    [
        *(("edge.__main__", module, name) for module, name in (("cv2", "OpenCV"), ("lap", "lap"), ("tqdm", "tqdm"))),
        *(("train.evaluate", module, name) for module, name in (("cv2", "OpenCV"), ("lap", "lap"), ("tqdm", "tqdm"))),
        *(("convert.__main__", module, name) for module, name in (("cv2", "OpenCV"), ("lap", "lap"), ("onnx", "onnx"))),
        *(("train.__main__", module, name) for module, name in (("cv2", "OpenCV"), ("torch", "torch"))),
    ],
)
def test_every_command_says_in_one_sentence_what_is_missing(module: str, package: str, name: str) -> None:
    done = run(module, package, "--help")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.split(":")[1] == f" {name} is not installed"
    assert done.stdout == ""


def test_a_module_of_ours_that_is_missing_is_no_package() -> None:
    assert "ModuleNotFoundError" in run("convert.__main__", "convert.quantize", "--help").stderr


@pytest.mark.parametrize("package", ["lap", "onnx", "onnxruntime", "torch"])
def test_building_does_without_what_the_doctor_does_not_list_for_it(package: str) -> None:
    assert "build" not in NEEDED_BY[package]
    assert run("convert.__main__", package, "build", "--help").returncode == 0


@pytest.mark.parametrize("package", ["cv2", "lap", "onnx", "torch"])
def test_the_other_commands_need_what_the_doctor_lists_for_them(package: str) -> None:
    assert set(doctor.LINKING) <= set(NEEDED_BY[package])
    done = run("convert.__main__", package, "quantize", "--help")
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("; korsal-convert doctor lists all")


def test_it_runs_where_nothing_is_installed() -> None:
    done = run("convert.__main__", EVERYTHING, "doctor", "torch2trt")
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(NEEDED_BY) + 3 + 1
    assert all("is missing for " in line for line in lines[:-1])
    assert sum(line.startswith("WRONG") for line in lines) == 9  # not OpenCV, lap, onnxruntime, modelopt
    assert lines[-1].startswith("for build --backend torch2trt: 9 missing (numpy, onnx, torch, TensorRT's Python")


def test_only_what_a_requested_command_needs_is_wrong() -> None:
    need = Need("torch2trt", ("torch2trt",), "", "install it")
    assert finding(need, ("torch2trt", "export")).level == "wrong"
    assert finding(need, ("export",)).level == "warning"
    assert finding(Need("onnx", ("export",), "1.2"), ("export",)).line() == "ok      onnx: 1.2, for export"


@pytest.mark.parametrize(("commands", "status"), [([], 0), (["modelopt", "quantize"], 1), (["quantize"], 0)])
def test_the_exit_status(
    commands: list[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Need("onnx", ("quantize",), "1.2"), Need("modelopt", ("modelopt",), "", "pip install it")]
    monkeypatch.setattr(doctor, "needs", lambda: found)
    assert main(commands) == status
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith("1 missing (modelopt)" if status else "all is here")


def test_a_command_that_is_none() -> None:
    with pytest.raises(SystemExit):
        main(["fly"])


def test_a_package_that_is_there_and_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """As TensorRT's bindings are without its libraries."""

    def load(name: str) -> Any:
        raise OSError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setitem(sys.modules, "onnx", SimpleNamespace())
    found = {need.subject: need for need in needs(load)}
    assert found["onnx"].missing.startswith("it is there but cannot be loaded (libcudart.so.13: cannot open")


def machine(trt: Any, torch2trt: Any, available: bool, monkeypatch: pytest.MonkeyPatch) -> dict[str, Need]:
    """What is found on a machine with these modules."""
    import torch

    monkeypatch.setitem(sys.modules, "torch2trt", torch2trt)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    modules = {"torch": torch, "tensorrt": trt, "torch2trt": torch2trt}
    for name in modules:
        monkeypatch.setitem(sys.modules, name, modules[name])
    return {need.subject: need for need in needs(lambda name: modules.get(name, SimpleNamespace(__version__="1")))}


def test_torch2trt_with_its_tensorrt_and_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def torch2trt(module: object, onnx_opset: int = 17) -> None: ...

    trt = SimpleNamespace(__version__="10.3.0", CalibrationAlgoType=0)
    fitting = SimpleNamespace(torch2trt=torch2trt, __version__="0.5.0")
    found = machine(trt, fitting, True, monkeypatch)
    for subject in ("torch2trt", "torch with CUDA", "torch2trt with this TensorRT"):
        assert found[subject].missing == ""
    assert found["torch2trt"].present == "0.5.0"
    assert "finds no GPU" in machine(trt, fitting, False, monkeypatch)["torch with CUDA"].missing
    newer = SimpleNamespace(__version__="11.4.0")
    assert "ends with TensorRT 10" in machine(newer, fitting, True, monkeypatch)["torch2trt with this TensorRT"].missing
    older = SimpleNamespace(torch2trt=lambda module: None)
    assert "older than 0.5" in machine(trt, older, True, monkeypatch)["torch2trt with this TensorRT"].missing
