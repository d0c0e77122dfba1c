"""The runner over the fakes: every call exists in every version, bytes come and go, nothing leaks."""

import logging
import math
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.engines.cuda_runtime import Cuda, CudaError
from edge.engines.tensorrt_runner import Runner
from edge.engines.tensorrt_tensors import DTYPES, RunnerError
from edge.manifest import OUTPUTS
from tests.support.fake_cuda import FakeCuda
from tests.support.fake_gpu import VERSIONS, FakeGpu, fake_gpu, serialized_engine
from tests.support.fake_tensorrt import Network
from tests.support.real_builder import real_builder
from tests.support.tiny_model import BOX, SIZE

CALLS = (  # that the runner makes
    *("Runtime.deserialize_cuda_engine", "ICudaEngine.create_execution_context", "ICudaEngine.num_io_tensors"),
    *("ICudaEngine.get_tensor_name", "ICudaEngine.get_tensor_mode", "ICudaEngine.get_tensor_shape"),
    *("ICudaEngine.get_tensor_dtype", "ICudaEngine.get_tensor_profile_shape", "IExecutionContext.set_input_shape"),
    *("IExecutionContext.get_tensor_shape", "IExecutionContext.set_tensor_address"),
    "IExecutionContext.execute_async_v3",
)


@pytest.fixture(params=VERSIONS)
def gpu(request: pytest.FixtureRequest) -> Iterator[FakeGpu]:
    """One after the other; nothing may be left on it."""
    made = fake_gpu(request.param)
    yield made
    assert made.runtime.leaks == 0


@pytest.fixture
def newest() -> Iterator[FakeGpu]:
    made = fake_gpu(VERSIONS[-1])
    yield made
    assert made.runtime.leaks == 0


def runner(gpu: FakeGpu, smallest: int = 1, largest: int = 4) -> Runner:
    return Runner(gpu.trt, gpu.cuda, serialized_engine(gpu.trt, smallest, largest))


def images(*brightness: float) -> NDArray[np.float32]:
    """An image of each brightness, (B, 3, h, w)."""
    return np.repeat(np.array(brightness, np.float32), 3 * SIZE * SIZE).reshape(-1, 3, SIZE, SIZE)


def scores(*brightness: float) -> list[float]:
    """Sigmoid of 4 times the brightness, Rest's 0.3 at least."""
    return [max(1 / (1 + math.exp(-4 * b)), 0.3) for b in brightness]


def refusal(gpu: FakeGpu, **batches: int) -> str:
    with pytest.raises(RunnerError) as caught:
        runner(gpu, **batches)
    assert gpu.runtime.leaks == 0
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_answers_as_onnx_runtime_does(gpu: FakeGpu) -> None:
    with runner(gpu) as engine:
        answer = engine.infer({"image": images(1, -1)})
    assert tuple(answer) == OUTPUTS
    assert answer["boxes"].tolist() == [[list(BOX)], [list(BOX)]]
    assert answer["scores"][:, 0] == pytest.approx(scores(1, -1))
    assert answer["labels"].tolist() == [[0], [1]]
    assert answer["labels"].dtype == (np.int64 if hasattr(gpu.trt.DataType, "INT64") else np.int32)
    assert answer["class_scores"].shape == (2, 1, 2)


def test_every_batch_up_to_the_largest_in_any_order(gpu: FakeGpu) -> None:
    with runner(gpu) as engine:
        assert engine.batches == (1, 4)
        for size in (1, 1, 1, 4, 4, 4, 4, 2, 1, 3, 3, 3, 1):
            brightness = [(i + size) / 8 - 0.5 for i in range(size)]
            answer = engine.infer({"image": images(*brightness)})
            assert answer["scores"][:, 0] == pytest.approx(scores(*brightness))


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_a_batch_that_it_was_not_built_for(batch: int, newest: FakeGpu) -> None:
    with runner(newest, smallest=2) as engine, pytest.raises(RunnerError, match="takes 2 to 4 images"):
        engine.infer({"image": images(*[0] * batch)})


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((1, 3, SIZE, SIZE + 1), np.float32), "not (1, 3, 64, 65) float32"),
        (np.zeros((1, 3, SIZE, SIZE), np.complex64), "not (1, 3, 64, 64) complex64"),
        (np.zeros((3, SIZE, SIZE), np.float32), "not (3, 64, 64) float32"),
    ],
)
def test_an_input_that_it_cannot_take(image: NDArray[np.float32], message: str, newest: FakeGpu) -> None:
    with runner(newest) as engine, pytest.raises(RunnerError) as caught:
        engine.infer({"image": image})
    assert message in str(caught.value)
    assert "it takes 1 to 4 images of (3, 64, 64) float32" in str(caught.value)


def test_an_engine_of_one_fixed_batch() -> None:
    network = Network(
        {"image": ((2, 3, SIZE, SIZE), "FLOAT")},
        {
            "boxes": ((2, 1, 4), "HALF"),
            "scores": ((2, 1), "HALF"),
            "labels": ((2, 1), "INT32"),
            "class_scores": ((2, 1, 2), "HALF"),
        },
    )
    gpu = fake_gpu("10.3", network)
    with runner(gpu) as engine:
        assert engine.batches == (2, 2)
        assert engine.infer({"image": images(0.5, 1)})["scores"].dtype == np.float16
        with pytest.raises(RunnerError, match="takes 2 to 2 images"):
            engine.infer({"image": images(0.5)})
    assert gpu.runtime.leaks == 0


def test_memory_is_allocated_once(gpu: FakeGpu) -> None:
    with runner(gpu) as engine:
        owned = gpu.runtime.leaks
        before = gpu.runtime.calls.count("cudaMalloc")
        for _ in range(5):
            engine.infer({"image": images(1)})
        assert gpu.runtime.calls.count("cudaMalloc") == before == 5  # image and OUTPUTS
        assert gpu.runtime.leaks == owned + 1  # the graph
    addresses = gpu.trt.named("IExecutionContext.set_tensor_address")
    assert {name for name, _ in addresses} == {"image", *OUTPUTS}
    assert len(addresses) == 5


def test_only_what_the_batch_needs_is_copied(newest: FakeGpu) -> None:
    with runner(newest) as engine:
        engine.infer({"image": images(1)})
    assert newest.runtime.copied == [3 * SIZE * SIZE * 4, 4 * 4, 4, 8, 2 * 4]


def test_answers_stay_when_the_next_one_comes(newest: FakeGpu) -> None:
    with runner(newest) as engine:
        first = engine.infer({"image": images(1)})["scores"]
        kept = first.copy()
        engine.infer({"image": images(0)})
    assert (first == kept).all()


def test_the_input_is_filled_in_place(newest: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    with runner(newest) as engine:
        assert engine.image.shape == (4, 3, SIZE, SIZE)
        engine.image[:2] = images(0.25, 0.75)
        monkeypatch.setattr(np, "copyto", None)
        answer = engine.infer({"image": engine.image[:2]})
        assert answer["scores"][:, 0] == pytest.approx(scores(0.25, 0.75))


def test_rows_of_its_memory_in_another_order_are_copied(newest: FakeGpu) -> None:
    with runner(newest, smallest=2, largest=2) as engine:
        engine.image[:] = images(0.25, 0.75)
        answer = engine.infer({"image": engine.image[::-1].copy()})
        assert answer["scores"][:, 0] == pytest.approx(scores(0.75, 0.25))
        turned = engine.infer({"image": engine.image.swapaxes(2, 3)})
        assert turned["scores"][:, 0] == pytest.approx(scores(0.75, 0.25))


def test_the_input_is_filled_on_the_gpu(newest: FakeGpu) -> None:
    """As the motion map on the GPU does: its kernels write at `image_address`, on the engine's stream."""
    with runner(newest) as engine:
        engine.image[:1] = images(0.75)
        for _ in range(4):
            newest.cuda.upload(engine.image_address, engine.image.ctypes.data, engine.image[:1].nbytes, engine.stream)
            assert engine.run(1)["scores"][0, 0] == pytest.approx(scores(0.75)[0])


def test_a_graph_from_the_second_run_of_a_batch_on(gpu: FakeGpu) -> None:
    with runner(gpu) as engine:
        for size in (1, 2, 2, 2, 2, 1, 1):
            engine.infer({"image": images(*[1] * size)})
        calls = gpu.runtime.calls
    assert calls.count("cudaStreamBeginCapture") == 2
    assert calls.count("cudaGraphLaunch") == 4
    assert calls.count("cudaGraphExecDestroy") == 2


def test_a_network_that_no_graph_can_hold(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    gpu = fake_gpu("10.3", failing={"breaks_capture": ""})
    with runner(gpu) as engine:
        for _ in range(4):
            assert engine.infer({"image": images(1)})["scores"][0, 0] == pytest.approx(scores(1)[0])
    assert gpu.runtime.calls.count("cudaStreamBeginCapture") == 1
    assert [r.getMessage()[:40] for r in caplog.records] == ["the network runs without a CUDA graph: c"]
    assert gpu.runtime.leaks == 0


@pytest.mark.parametrize(
    ("call", "expected_message"),
    [
        ("Runtime", "TensorRT does not start; install the NVIDIA driver, or the TensorRT that fits it"),
        ("Runtime.deserialize_cuda_engine", "TensorRT does not accept it; rebuild it"),
        ("ICudaEngine.create_execution_context", "TensorRT finds no memory to run it in; end other programs"),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_tensorrt_refuses(version: str, call: str, expected_message: str) -> None:
    message = refusal(fake_gpu(version, failing={call: "out of luck"}))
    assert message.startswith(expected_message)
    assert "(TensorRT: out of luck)" in message


def test_an_execution_that_fails() -> None:
    gpu = fake_gpu("11.4", failing={"IExecutionContext.execute_async_v3": "shape mismatch"})
    with runner(gpu) as engine, pytest.raises(RunnerError, match=r"does not run it; .* \(TensorRT: shape mismatch\)"):
        engine.infer({"image": images(1)})
    assert gpu.runtime.leaks == 0


@pytest.mark.parametrize("call", ["cudaMalloc", "cudaHostAlloc", "cudaStreamCreateWithFlags"])
@pytest.mark.parametrize("after", [0, 3])
def test_a_gpu_that_is_full_leaves_nothing_behind(call: str, after: int, newest: FakeGpu) -> None:
    newest.runtime.fail(call, "cudaErrorMemoryAllocation", after)
    if call == "cudaStreamCreateWithFlags" and after:
        runner(newest).close()
        return
    with pytest.raises(CudaError, match=call):
        runner(newest)


def test_a_fault_on_the_gpu_comes_out_of_infer(newest: FakeGpu) -> None:
    with runner(newest) as engine:
        newest.runtime.fail("cudaStreamSynchronize", "cudaErrorIllegalAddress")
        with pytest.raises(CudaError, match="cudaErrorIllegalAddress"):
            engine.infer({"image": images(1)})


def test_closing_twice_and_a_gpu_that_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    gpu = fake_gpu("11.4")
    engine = runner(gpu)
    gpu.runtime.fail("cudaFree", "cudaErrorIllegalAddress")
    engine.close()
    engine.close()
    assert "an engine's memory cannot be freed" in caplog.text
    assert gpu.runtime.leaks == 1  # of what could be freed everything was


def test_another_network() -> None:
    outputs = dict(Network().outputs)
    two = {"image": ((-1, 3, SIZE, SIZE), "FLOAT"), "scale": ((-1, 1), "FLOAT")}
    assert "its inputs are image, scale, not image or frame; rebuild it" in refusal(fake_gpu("10.3", Network(two)))
    assert "its inputs are none" in refusal(fake_gpu("10.3", Network({}, outputs)))
    fewer = {name: outputs[name] for name in ("boxes", "scores")}
    assert "it has no output labels; rebuild it" in refusal(fake_gpu("10.3", Network(outputs=fewer)))


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        ((-1, 0, 4), "FLOAT", "its boxes is of shape (4, 0, 4), not a row for each image"),
        ((1, 4), "FLOAT", "its boxes is of shape (1, 4), not a row for each image"),
        ((), "FLOAT", "its boxes is of shape (), not a row for each image"),
        ((-1, 1, 4), "FP8", "which NumPy does not know"),
    ],
)
def test_an_output_that_is_none_of_ours(shape: tuple[int, ...], kind: str, message: str) -> None:
    outputs = {**Network().outputs, "boxes": (shape, kind)}
    assert message in refusal(fake_gpu("10.3", Network(outputs=outputs)))


@pytest.mark.parametrize("plan", [b"", b"vtrt", b"vtrt" + bytes(1000), b"ftrt" + bytes(1000), bytes(1000)])
def test_the_real_bindings_refuse_what_is_no_engine(plan: bytes) -> None:
    """With the API of TensorRT 11, as far as that goes without a GPU: logger, runtime, deserialising."""
    trt = real_builder()
    runtime = FakeCuda()
    with pytest.raises(RunnerError, match=r"TensorRT does not (accept it|start); .* \(TensorRT: .*\)"):
        Runner(trt, Cuda(runtime), plan)
    assert runtime.leaks == 0


def test_the_real_bindings_have_every_call() -> None:
    trt = real_builder()
    played = fake_gpu("11.4").trt
    for name in ("Runtime", "ICudaEngine", "IExecutionContext"):
        calls = [call.partition(".")[2] for call in CALLS if call.startswith(f"{name}.")]
        assert [call for call in calls if not hasattr(getattr(trt, name), call)] == []
        assert [call for call in calls if not hasattr(getattr(played, name), call)] == []
    assert {name for name in DTYPES if hasattr(trt.DataType, name)} == set(DTYPES)
