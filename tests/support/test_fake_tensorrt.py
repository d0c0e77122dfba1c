"""The fake TensorRT lacks what each version lacks, and refuses as NVIDIA's own bindings do."""

import ctypes
from typing import Any

import numpy as np
import pytest

from tests.support.fake_tensorrt import VERSIONS, fake, plan
from tests.support.real_builder import real_builder
from tests.support.tiny_model import SIZE


@pytest.mark.parametrize(
    ("version", "place", "member"),
    [
        ("8.6", "NetworkDefinitionCreationFlag", "STRONGLY_TYPED"),
        ("8.6", "DataType", "INT64"),
        ("8.6", "ParserError", "node_operator"),
        ("8.6", "IBuilderConfig", "progress_monitor"),
        ("10.3", "IBuilderConfig", "max_workspace_size"),
        ("10.16", "IExecutionContext", "execute_async_v2"),
        ("11.0", "NetworkDefinitionCreationFlag", "EXPLICIT_BATCH"),
        ("11.0", "BuilderFlag", "INT8"),
        ("11.4", "Builder", "platform_has_fast_int8"),
        ("11.4", "ICudaEngine", "device_memory_size"),
    ],
)
def test_what_a_version_lacks(version: str, place: str, member: str) -> None:
    trt = fake(version)
    assert not hasattr(getattr(trt, place), member)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("place", "member"),
    [
        ("Builder", "build_serialized_network"),
        ("IBuilderConfig", "set_memory_pool_limit"),
        ("Runtime", "deserialize_cuda_engine"),
        ("ICudaEngine", "num_io_tensors"),
        ("IExecutionContext", "execute_async_v3"),
        ("IExecutionContext", "set_tensor_address"),
    ],
)
def test_what_all_versions_have(version: str, place: str, member: str) -> None:
    assert hasattr(getattr(fake(version), place), member)


def test_what_the_fake_does_not_play() -> None:
    trt = fake("10.3")
    config = trt.Builder(trt.Logger()).create_builder_config()
    with pytest.raises(NotImplementedError, match=r"does not play IBuilderConfig\.DLA_core"):
        _ = config.DLA_core


@pytest.mark.parametrize("version", VERSIONS)
def test_an_engine_computes_in_the_memory_that_it_is_given(version: str) -> None:
    trt = fake(version, compute=lambda inputs: {"scores": inputs["image"].mean(axis=(1, 2, 3))[:, None]})
    engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan(trt, max_batch=2))
    context = engine.create_execution_context()
    assert context.set_input_shape("image", (2, 3, SIZE, SIZE))
    assert not context.set_input_shape("image", (3, 3, SIZE, SIZE))  # beyond the profile
    assert not context.execute_async_v3(0)  # without addresses
    memory = {}
    for name in (engine.get_tensor_name(index) for index in range(engine.num_io_tensors)):
        dtype = trt.nptype(engine.get_tensor_dtype(name))
        memory[name] = np.full(context.get_tensor_shape(name), 7, dtype)
        context.set_tensor_address(name, memory[name].ctypes.data_as(ctypes.c_void_p).value)
    assert context.execute_async_v3(0)
    assert memory["scores"].tolist() == [[7], [7]]
    assert memory["boxes"].max() == 0


@pytest.fixture(params=["fake", "real"])
def trt(request: pytest.FixtureRequest) -> Any:
    """The fake of TensorRT 11.4, and TensorRT-RTX, which has its interface."""
    return fake("11.4") if request.param == "fake" else real_builder()


def quiet(trt: Any) -> Any:
    class Quiet(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            pass

    return Quiet()


def test_a_logger_that_forgot_its_base(trt: Any) -> None:
    class Hasty(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

        def log(self, severity: Any, msg: str) -> None:
            pass

    with pytest.raises(TypeError, match=r"__init__\(\) must be called when overriding __init__"):
        trt.Builder(Hasty())


def test_attributes_that_do_not_exist(trt: Any) -> None:
    config = trt.Builder(quiet(trt)).create_builder_config()
    with pytest.raises(AttributeError):
        config.max_workspace_size = 1
    with pytest.raises(AttributeError):
        _ = trt.BuilderFlag.INT8


def test_a_profile_without_sense(trt: Any) -> None:
    builder = trt.Builder(quiet(trt))
    profile = builder.create_optimization_profile()
    profile.set_shape("image", (1, 3, SIZE, SIZE), (0, 3, SIZE, SIZE), (0, 3, SIZE, SIZE))
    assert builder.create_builder_config().add_optimization_profile(profile) == -1


@pytest.mark.parametrize("content", [b"nonsense" * 100, b"ftrt" + bytes(100)])
def test_what_is_no_engine(trt: Any, content: bytes) -> None:
    assert trt.Runtime(quiet(trt)).deserialize_cuda_engine(content) is None
