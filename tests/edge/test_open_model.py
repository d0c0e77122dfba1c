"""Which runtime opens a model, over the fakes of TensorRT and CUDA and the real ONNX Runtime."""

import json
import logging
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge import open_model as open_model_module
from edge.chosen_model import build_options
from edge.commands.check import check
from edge.commands.replay import ReplayOutputs, open_session, replay
from edge.config.config_file import load, state_directory
from edge.config.schema import Config, ModelConfig
from edge.engines import cuda_runtime, engine_build, engine_record, motion_cuda
from edge.engines.cuda_runtime import Cuda, CudaError
from edge.engines.engine_cache import EngineCacheError
from edge.engines.motion_cuda import MotionCudaError
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.inference import Engine, EngineError, LoadedEngine
from edge.motion_map import MotionSettings
from edge.open_model import open_at_terminal, open_model
from tests.support.fake_gpu import FakeGpu, WithTensorRt, fake_gpu
from tests.support.fake_tensorrt import Network
from tests.support.fake_tensorrt_builder import Fault
from tests.support.frame_gpu import frame_gpu
from tests.support.frame_model import write_frame_model
from tests.support.spot_model import MANIFEST as SPOT
from tests.support.spot_model import write_spot_model
from tests.support.tiny_model import MANIFEST, SIZE, write_tiny_model

NO_TENSORRT = "TensorRT's Python bindings cannot be loaded"


pytest_plugins = ("tests.support.gpu_machine",)
pytestmark = pytest.mark.usefixtures("no_nvidia")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path / "tiny.onnx")
    return tmp_path


def config_file(folder: Path, model: str = "", path: str = "tiny.onnx") -> Path:
    file = folder / "config.toml"
    file.write_text(
        f'[model]\npath = "{path}"\nthreads = 1\n{model}\n[outbox]\ndirectory = "state"\n'
        '[cameras.door]\nsource = "/dev/video0"\n'
    )
    return file


def config(folder: Path, model: str = "", path: str = "tiny.onnx") -> Config:
    return load(config_file(folder, model, path))


def opened(config: Config) -> LoadedEngine:
    """As the daemon opens it, without announcements."""
    return open_model(config.model, state_directory(config.outbox), lambda text: None, lambda: None)


def refusal(requested: Config) -> str:
    """One sentence."""
    with pytest.raises(EngineError) as caught:
        opened(requested)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_works(engine: Engine) -> None:
    answer = engine.infer({"image": np.ones((1, 3, SIZE, SIZE), np.float32)})
    assert answer["scores"][0, 0] == pytest.approx(1 / (1 + np.exp(-4)))
    assert engine.manifest == MANIFEST


def engines(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.engine"))


def builds(gpu: FakeGpu) -> int:
    return len(gpu.trt.named("Builder.build_serialized_network"))


@pytest.mark.parametrize("runtime", ["auto", "tensorrt"])
def test_tensorrt_runs_the_model_where_it_is(
    runtime: str, folder: Path, with_tensorrt: WithTensorRt, caplog: pytest.LogCaptureFixture
) -> None:
    gpu = with_tensorrt()
    for _ in range(2):
        loaded = opened(config(folder, f'runtime = "{runtime}"'))
        assert loaded.runner is not None
        with loaded as engine:
            assert engine.runtime == f"tensorrt {gpu.trt.__version__} fp32"
            assert_works(engine)
        assert gpu.runtime.leaks == 0
    (built,) = engines(folder)
    assert built.parent == folder / "state" / "engines" / "tiny"
    assert builds(gpu) == 1
    assert caplog.text == ""


@pytest.mark.parametrize(("path", "largest"), [("spot.onnx", 3), ("tiny.onnx", 1)])
def test_onnx_runtime_takes_what_is_configured_and_the_model_can(path: str, largest: int, folder: Path) -> None:
    """The one is for any batch, the other for single images."""
    write_spot_model(folder / "spot.onnx")
    with opened(config(folder, "max_batch = 3", path)) as engine:
        assert engine.largest_batch == largest


@pytest.mark.parametrize(("requested", "by_cuda"), [("auto", True), ("cuda", True), ("cpu", False)])
def test_cv2_cuda_fills_the_input_where_it_is(
    requested: str, by_cuda: bool, folder: Path, with_tensorrt: WithTensorRt, caplog: pytest.LogCaptureFixture
) -> None:
    gpu = with_tensorrt()
    with opened(config(folder, f'preprocessing = "{requested}"\nmax_batch = 3')) as engine:
        assert (engine.run_frames is not None) == by_cuda
        assert engine.largest_batch == 3
    assert gpu.runtime.leaks == 0
    assert caplog.text == ""


def without_cuda() -> Any:
    raise MotionCudaError("OpenCV 4.14.0 has no cv2.cuda.remap; build one that has")


@pytest.mark.parametrize(("requested", "warnings"), [("auto", 1), ("cpu", 0)])
def test_without_cv2_cuda_the_cpu_does_it(
    requested: str,
    warnings: int,
    folder: Path,
    with_tensorrt: WithTensorRt,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with_tensorrt()
    monkeypatch.setattr(motion_cuda, "usable", without_cuda)
    with opened(config(folder, f'preprocessing = "{requested}"')) as engine:
        assert engine.run_frames is None
    assert len(caplog.records) == warnings
    assert ('build one that has; set model.preprocessing = "cpu"' in caplog.text) == bool(warnings)


def fallback(requested: Config, preprocessor: str) -> str:
    """Why this model's frames are not prepared as requested, which no daemon ends for."""
    with opened(requested) as engine:
        assert engine.preprocessor == preprocessor
        return engine.fallback


def test_without_cv2_cuda_where_it_is_required_the_cpu_does_it_and_it_is_told(
    folder: Path, with_tensorrt: WithTensorRt, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    requested = config(folder, 'preprocessing = "cuda"')
    told = [fallback(requested, "cpu")]
    assert told[0].startswith("model.preprocessing is cuda, but ONNX Runtime runs the model")
    gpu = with_tensorrt()
    monkeypatch.setattr(motion_cuda, "usable", without_cuda)
    told.append(fallback(requested, "cpu"))
    assert told[1] == "OpenCV 4.14.0 has no cv2.cuda.remap; build one that has; until then the CPU prepares frames"
    assert [record.getMessage() for record in caplog.records] == told
    assert gpu.runtime.leaks == 0


def test_flow_is_the_cpus_and_no_warning_is_given(
    folder: Path, with_tensorrt: WithTensorRt, caplog: pytest.LogCaptureFixture
) -> None:
    write_spot_model(folder / "flow.onnx", replace(SPOT, motion=MotionSettings("flow")))
    gpu = with_tensorrt(network=Network(inputs={"image": ((-1, 6, SIZE, SIZE), "FLOAT")}))
    with opened(config(folder, path="flow.onnx")) as engine:
        assert engine.run_frames is None
    assert caplog.text == ""
    told = fallback(config(folder, 'preprocessing = "cuda"', "flow.onnx"), "cpu")
    assert 'only the CPU computes: set model.preprocessing = "auto"; until then' in told
    assert gpu.runtime.leaks == 0


def test_onnx_runtime_runs_it_elsewhere(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """On a PC without a GPU that is logged at level info only, and the state directory stays empty."""
    caplog.set_level(logging.INFO)
    loaded = opened(config(folder))
    assert loaded.runner is None
    with loaded as engine:
        assert engine.runtime.startswith("onnxruntime 1.")
        assert_works(engine)
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert f"ONNX Runtime runs the model, without TensorRT: {NO_TENSORRT}" in record.getMessage()
    assert not (folder / "state").exists()


def test_a_machine_with_a_gpu_is_warned(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "nvidia0").touch()
    monkeypatch.setattr(open_model_module, "NVIDIA_SIGNS", (folder / "nv_tegra_release", folder / "nvidia0"))
    opened(config(folder)).close()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().endswith('set model.runtime = "onnxruntime" if that is intended')


def test_cuda_that_is_missing_is_as_good_as_no_tensorrt(
    folder: Path, with_tensorrt: WithTensorRt, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tensorrt()

    def installed() -> Cuda:
        raise CudaError("CUDA finds no GPU; check that the driver is loaded", "cudaErrorNoDevice")

    monkeypatch.setattr(cuda_runtime, "installed", installed)
    with opened(config(folder)) as engine:
        assert engine.runtime.startswith("onnxruntime")
    assert refusal(config(folder, 'runtime = "tensorrt"')) == (
        'model.runtime is tensorrt, but CUDA finds no GPU; check that the driver is loaded; or set it to "auto"'
    )


def test_onnx_runtime_may_be_requested(
    folder: Path, with_tensorrt: WithTensorRt, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gpu = with_tensorrt()
    with opened(config(folder, 'runtime = "onnxruntime"')) as engine:
        assert engine.runtime.startswith("onnxruntime")
    assert gpu.runtime.calls == []
    assert caplog.text == ""


def test_requesting_an_absent_tensorrt_is_an_error(folder: Path) -> None:
    message = refusal(config(folder, 'runtime = "tensorrt"'))
    assert message.startswith(f"model.runtime is tensorrt, but {NO_TENSORRT} (")
    assert message.endswith('install python3-libnvinfer, as JetPack has it; or set it to "auto"')


def test_what_tensorrt_cannot_build_is_left_to_onnx_runtime(
    folder: Path, with_tensorrt: WithTensorRt, caplog: pytest.LogCaptureFixture
) -> None:
    """A device that sees slowly is better than one that is blind; tried in vain it is once."""
    gpu = with_tensorrt(failing={"Builder.build_serialized_network": "out of luck"})
    for _ in range(2):
        with opened(config(folder)) as engine:
            assert engine.runtime.startswith("onnxruntime")
            assert "out of luck" in engine.fallback
            assert engine.fallback.endswith(
                'ONNX Runtime runs the model in its place; set model.runtime = "onnxruntime" to keep that'
            )
    assert [record.getMessage() for record in caplog.records] == [engine.fallback] * 2
    assert builds(gpu) == 1


def test_a_gpu_that_does_not_answer_is_lived_with(folder: Path, with_tensorrt: WithTensorRt) -> None:
    gpu = with_tensorrt()
    for _ in range(2):
        gpu.runtime.fail("cudaDeviceGetAttribute", "cudaErrorIllegalAddress")
    with opened(config(folder)) as engine:
        assert engine.runtime.startswith("onnxruntime")
        assert "cudaErrorIllegalAddress" in engine.fallback


def test_tensorrt_where_it_is_requested_is_not_replaced(folder: Path, with_tensorrt: WithTensorRt) -> None:
    with_tensorrt(failing={"Builder.build_serialized_network": "out of luck"})
    assert "out of luck" in refusal(config(folder, 'runtime = "tensorrt"'))


def test_a_model_that_nothing_runs(folder: Path, with_tensorrt: WithTensorRt, monkeypatch: pytest.MonkeyPatch) -> None:
    with_tensorrt(failing={"Builder.build_serialized_network": "out of luck"})
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    message = refusal(config(folder))
    assert "out of luck" in message
    assert message.endswith(
        "; nor does ONNX Runtime run it: onnxruntime is not installed: pip install 'korsal-edge[cpu]'"
    )
    (folder / "tiny.onnx").write_text("no model")
    assert refusal(config(folder)).count("is not a complete ONNX file") == 1


def test_the_options_reach_the_builder(folder: Path, with_tensorrt: WithTensorRt) -> None:
    gpu = with_tensorrt("8.6")
    requested = config(folder, 'precision = "fp16"\nmax_batch = 4\nworkspace = 256')
    with opened(requested) as engine:
        assert engine.runtime.endswith(" fp16")
        assert engine.infer({"image": np.ones((4, 3, SIZE, SIZE), np.float32)})["scores"].shape == (4, 1)
    assert gpu.trt.named("IBuilderConfig.set_memory_pool_limit") == [("WORKSPACE", 256 << 20)]


def test_the_defaults_are_those_of_the_builder() -> None:
    assert build_options(ModelConfig()) == BuildOptions()


def test_a_precision_that_no_file_has(
    folder: Path, with_tensorrt: WithTensorRt, caplog: pytest.LogCaptureFixture
) -> None:
    """The daemon runs what there is, and says how to make the other."""
    with_tensorrt("10.3")
    with opened(config(folder, 'precision = "int8"')) as engine:
        assert engine.runtime.endswith(" fp32")
        assert engine.fallback in caplog.text
    assert "model.precision is int8, and neither " in engine.fallback
    assert "tiny-int8.onnx --precision int8 --calibrate VIDEO" in engine.fallback


def test_providers_are_of_onnx_runtime(
    folder: Path, with_tensorrt: WithTensorRt, caplog: pytest.LogCaptureFixture
) -> None:
    with_tensorrt()
    opened(config(folder, 'providers = ["CUDAExecutionProvider"]')).close()
    assert 'TensorRT runs the model; set model.runtime = "onnxruntime" for them' in caplog.text


def plan(folder: Path, gpu: FakeGpu) -> Path:
    """An engine that was built by hand."""
    target = folder / "mine.engine"
    engine_build.build(gpu.trt, folder / "tiny.onnx", target)
    return target


def test_an_engine_is_opened_as_it_is(folder: Path, with_tensorrt: WithTensorRt) -> None:
    gpu = with_tensorrt()
    plan(folder, gpu)
    for runtime in ("auto", "tensorrt"):
        with opened(config(folder, f'runtime = "{runtime}"', "mine.engine")) as engine:
            assert_works(engine)
    assert gpu.runtime.leaks == 0
    assert builds(gpu) == 1
    assert not (folder / "state").exists()


def test_an_engine_without_its_record(folder: Path, with_tensorrt: WithTensorRt) -> None:
    engine_record.beside(plan(folder, with_tensorrt())).unlink()
    assert "its record mine.engine.json cannot be read" in refusal(config(folder, path="mine.engine"))


def test_an_engine_where_only_onnx_runtime_is(folder: Path) -> None:
    plan(folder, fake_gpu("10.3"))
    for runtime in ("auto", "tensorrt"):
        message = refusal(config(folder, f'runtime = "{runtime}"', "mine.engine"))
        assert message.startswith(f"{folder / 'mine.engine'}: is a TensorRT engine, but {NO_TENSORRT}")
        assert message.endswith("or name the ONNX model that it was built from")
    message = refusal(config(folder, 'runtime = "onnxruntime"', "mine.engine"))
    assert "is a TensorRT engine, and model.runtime is onnxruntime; set that to" in message


def test_a_state_directory_without_rights(folder: Path, with_tensorrt: WithTensorRt) -> None:
    with_tensorrt()
    (folder / "state").write_text("a file, so that nobody, not even root, makes a folder of it")
    cure = r"name a directory that this user may write to \(\[outbox\] directory"
    with pytest.raises(EngineCacheError, match=cure):
        open_at_terminal(config(folder, 'runtime = "tensorrt"').model, folder / "state")
    with open_at_terminal(config(folder).model, folder / "state") as engine:
        assert re.search(cure, engine.fallback)


def test_the_terminal_shows_what_takes_long(
    folder: Path, with_tensorrt: WithTensorRt, capsys: pytest.CaptureFixture[str]
) -> None:
    with_tensorrt()
    open_at_terminal(config(folder).model, folder / "state").close()
    output = capsys.readouterr()
    assert output.out == ""
    lines = output.err.splitlines()
    assert lines[0] == "Building the TensorRT engine of tiny.onnx"
    assert lines[-1] == "Building the TensorRT engine of tiny.onnx: Building Engine 100%"
    assert len(set(lines)) == len(lines)
    open_at_terminal(config(folder).model, folder / "state").close()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("version", "built"), [("10.3", 0), ("8.6", 1)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_build(
    number: signal.Signals, version: str, built: int, folder: Path, with_tensorrt: WithTensorRt
) -> None:
    """Between two of its steps; where TensorRT has no monitor, after it, and the next start finds the engine."""
    gpu = with_tensorrt(version)
    before = signal.getsignal(number)
    interrupt(gpu, number)
    with pytest.raises(KeyboardInterrupt):
        open_at_terminal(config(folder).model, folder / "state")
    assert gpu.runtime.leaks == 0
    assert len(engines(folder)) == built
    assert list(folder.rglob("*.partial*")) == []
    assert signal.getsignal(number) == before


def interrupt(gpu: FakeGpu, number: signal.Signals) -> None:
    """Ctrl-C while the builder works."""
    build = gpu.trt.Builder.build_serialized_network

    def build_serialized_network(builder: Any, network: Any, config: Any) -> Any:
        os.kill(os.getpid(), number)
        return build(builder, network, config)

    gpu.trt.Builder.build_serialized_network = build_serialized_network


def write_test_video(path: Path) -> Path:
    """A second of darkness, three of light, four of darkness, one of light; ten frames a second."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for character in "." * 10 + "#" * 30 + "." * 40 + "#" * 10:
        writer.write(np.full((48, 64, 3), 255 if character == "#" else 0, np.uint8))
    writer.release()
    return path


def played(folder: Path, runtime: str) -> list[dict[str, Any]]:
    """The events of the video."""
    lines = folder / f"{runtime}.jsonl"
    with open_session(
        str(write_test_video(folder / "video.avi")), None, config_file(folder, f'runtime = "{runtime}"'), None
    ) as requested:
        assert requested.engine.runtime.startswith(runtime)
        assert replay(requested, ReplayOutputs(events=lines)) == 0
    return [json.loads(line) for line in lines.open()]


def test_both_runtimes_give_the_same_events(folder: Path, with_tensorrt: WithTensorRt) -> None:
    gpu = with_tensorrt()
    expected, found = played(folder, "onnxruntime"), played(folder, "tensorrt")
    assert [event["action"] for event in expected if event["type"] == "new"] == ["Rest", "Shine", "Shine"]
    assert len(found) == len(expected)
    for event, other in zip(found, expected, strict=True):
        assert same(event, other)
    assert gpu.runtime.leaks == 0


def same(event: dict[str, Any], other: dict[str, Any]) -> bool:
    """But for what single precision leaves open."""
    scores = ("score", "top_score")
    close = all(event[key] == pytest.approx(other[key], abs=1e-4) for key in scores)
    return close and {**event, **{key: other[key] for key in scores}} == other


def test_check_and_replay_use_the_same_engine(
    folder: Path, with_tensorrt: WithTensorRt, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu = with_tensorrt()
    file = config_file(folder, "max_batch = 2")
    assert check(file) == 0
    assert f"model tiny, 64x64, tensorrt {gpu.trt.__version__} fp32: Shine, Rest" in capsys.readouterr().out
    with open_session(str(write_test_video(folder / "video.avi")), None, file, None):
        pass
    opened(load(file)).close()
    assert builds(gpu) == 1
    assert gpu.runtime.leaks == 0


def test_the_demo_leaves_its_engine_for_the_next(
    folder: Path, with_tensorrt: WithTensorRt, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge.commands.demo import demo

    pytest.importorskip("amqtt", reason="amqtt is not installed: pip install 'korsal-edge[demo]'")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "home"))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    gpu = with_tensorrt()
    level = logging.getLogger().level
    assert demo(str(write_test_video(folder / "video.avi")), folder / "tiny.onnx", folder / "out.mp4") == 0
    logging.getLogger().setLevel(level)
    (built,) = engines(folder)
    assert built.parent == folder / "home" / "korsal-edge" / "engines" / "tiny"
    assert builds(gpu) == 1
    assert gpu.runtime.leaks == 0


@pytest.fixture
def with_frames(folder: Path, with_tensorrt: WithTensorRt, monkeypatch: pytest.MonkeyPatch) -> WithTensorRt:
    """A machine with TensorRT, and `frames.onnx`, which fits and compares frames itself."""
    write_frame_model(folder / "frames.onnx")

    def install(version: str = "10.3", **behaviour: Any) -> FakeGpu:
        return with_tensorrt(gpu=frame_gpu(version, folder / "frames.onnx", **behaviour))

    return install


@pytest.mark.parametrize(
    ("requested", "preprocessor"), [("auto", "graph"), ("graph", "graph"), ("cuda", "cuda"), ("cpu", "cpu")]
)
def test_a_model_with_its_preprocessing_inside_serves_each_way(
    requested: str,
    preprocessor: str,
    folder: Path,
    with_frames: WithTensorRt,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gpu = with_frames()
    for _ in range(2):
        with opened(config(folder, f'preprocessing = "{requested}"\nmax_batch = 2', "frames.onnx")) as engine:
            assert engine.preprocessor == preprocessor
            assert engine.largest_batch == 2
            assert engine.fallback == ""
    assert builds(gpu) == 1
    assert caplog.text == ""
    assert gpu.runtime.leaks == 0


def test_both_ways_of_one_file_keep_their_engines(folder: Path, with_frames: WithTensorRt) -> None:
    gpu = with_frames()
    for requested in ("cpu", "graph", "cuda", "auto"):
        opened(config(folder, f'preprocessing = "{requested}"', "frames.onnx")).close()
    assert builds(gpu) == len(engines(folder)) == 2


@pytest.mark.parametrize(("requested", "preprocessor"), [("auto", "cuda"), ("graph", "cuda")])
def test_what_the_parser_lacks_runs_outside(
    requested: str,
    preprocessor: str,
    folder: Path,
    with_frames: WithTensorRt,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gpu = with_frames()
    inside = folder.joinpath("frames.onnx").read_bytes()
    gpu.trt.faults_of = lambda model: [Fault("no Gather of bytes", node_operator="Gather")] * (model == inside)
    with opened(config(folder, f'preprocessing = "{requested}"', "frames.onnx")) as engine:
        assert engine.preprocessor == preprocessor
        assert "no Gather of bytes" in engine.fallback
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.endswith(
        'its network runs without the preprocessing inside; set model.preprocessing = "cpu" to keep that'
    )
    assert gpu.runtime.leaks == 0


def test_8_6_runs_the_graph_in_fp16_too(folder: Path, with_frames: WithTensorRt) -> None:
    gpu = with_frames("8.6")
    for precision in ("fp16", "fp32"):
        with opened(config(folder, f'precision = "{precision}"', "frames.onnx")) as engine:
            assert engine.preprocessor == "graph"
            assert engine.fallback == ""
    assert gpu.trt.named("ILayer.precision") != []
    assert gpu.trt.named("Builder.build_serialized_network") == [("FP16", "OBEY_PRECISION_CONSTRAINTS"), ()]


def test_an_8_6_that_cannot_obey_gets_the_network_alone(folder: Path, with_frames: WithTensorRt) -> None:
    gpu = with_frames("8.6")
    build = gpu.trt.Builder.build_serialized_network

    def refuse_constraints(builder: Any, network: Any, config: Any) -> Any:
        obeys = config.get_flag(gpu.trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
        return None if obeys else build(builder, network, config)

    gpu.trt.Builder.build_serialized_network = refuse_constraints
    with opened(config(folder, 'precision = "fp16"', "frames.onnx")) as engine:
        assert engine.preprocessor == "cuda"
        assert "did not build it" in engine.fallback


def test_a_graph_that_is_not_there(folder: Path, with_tensorrt: WithTensorRt) -> None:
    cure = "make a file that does with korsal-convert export --with-motion, or set that to"
    assert cure in fallback(config(folder, 'runtime = "onnxruntime"\npreprocessing = "graph"'), "cpu")
    gpu = with_tensorrt()
    assert cure in fallback(config(folder, 'preprocessing = "graph"'), "cuda")
    plan(folder, gpu)
    assert cure in fallback(config(folder, 'preprocessing = "graph"', "mine.engine"), "cuda")
    assert gpu.runtime.leaks == 0


def test_an_engine_that_was_built_with_the_preprocessing_inside(folder: Path, with_frames: WithTensorRt) -> None:
    gpu = with_frames()
    engine_build.build(gpu.trt, folder / "frames.onnx", folder / "mine.engine")
    for requested in ("auto", "graph"):
        with opened(config(folder, f'preprocessing = "{requested}"', "mine.engine")) as engine:
            assert engine.preprocessor == "graph"
    for requested in ("cpu", "cuda"):
        told = fallback(config(folder, f'preprocessing = "{requested}"', "mine.engine"), "graph")
        assert told.startswith(f"model.preprocessing is {requested}, and ")
    assert gpu.runtime.leaks == 0


@pytest.mark.parametrize(("requested", "preprocessor"), [("auto", "cpu"), ("graph", "graph"), ("cpu", "cpu")])
def test_onnx_runtime_uses_the_graph_where_it_is_asked_for(requested: str, preprocessor: str, folder: Path) -> None:
    """On CPUs the CPU's own motion map is quicker."""
    write_frame_model(folder / "frames.onnx")
    with opened(config(folder, f'preprocessing = "{requested}"', "frames.onnx")) as engine:
        assert engine.preprocessor == preprocessor
