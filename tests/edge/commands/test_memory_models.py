"""What `models`, `check` and `bench` tell of a model's memory, and what stays as it was for models without."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from edge.commands.bench import WITH_MEMORY, Measurement, bench
from edge.commands.check import check
from edge.commands.models import models
from edge.commands.replay import open_session
from edge.inference import EngineError
from tests.support.memory_model import MemoryModel, write_memory_model
from tests.support.spot_model import write_spot_video

pytest_plugins = ("tests.support.gpu_machine",)
pytestmark = pytest.mark.usefixtures("no_nvidia")

SUMMARY = "a step every 0.16 s, 8x8, 0.0 MB for each camera"


@pytest.fixture
def model(tmp_path: Path) -> MemoryModel:
    return write_memory_model(tmp_path)


@pytest.fixture
def config(model: MemoryModel, tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(
        '[model]\npath = "spot.onnx"\nthreads = 1\n[outbox]\ndirectory = "state"\n'
        '[cameras.door]\nsource = "/dev/video0"\n'
    )
    return file


def test_models_lists_the_memory(model: MemoryModel, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models(config) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"memory {model.memory}, 0.0 MB: {SUMMARY}"
    assert sum(model.memory.name in line for line in lines) == 1  # nor is it listed as a precision of the model
    assert lines[-1].startswith("* runs here, in FP32")


def test_models_says_what_is_wrong_with_it(
    model: MemoryModel, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model.memory.unlink()
    assert models(config) == 0
    lines = capsys.readouterr().out.splitlines()
    missing = f"{model.memory}: is missing, and spot.onnx does not run without this memory; copy it there"
    assert lines[1].startswith(f"memory: {missing}")
    assert lines[-1].startswith(f"* no file runs here: {missing}")


def test_check_names_it(model: MemoryModel, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(config) == 0
    pattern = rf"\n  memory memory-\w{{16}}\.onnx, onnxruntime \S+: {re.escape(SUMMARY)}\n"
    assert re.search(pattern, capsys.readouterr().out)
    model.memory.unlink()
    with pytest.raises(EngineError, match=r"memory-\w{16}\.onnx: is missing"):
        check(config)


def test_bench_has_a_row_for_it_and_its_price(
    model: MemoryModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = write_spot_video(tmp_path / "video.avi", shown=4, dark=2)
    session = open_session(str(video), model.detector, None, None, threads=1)
    assert bench(session, 5, as_json=False) == 0
    output = capsys.readouterr().out
    for stage in (*WITH_MEMORY, "total"):
        assert f"\n{stage} " in output
    assert "% outside network, motion map and memory\n" in output
    assert re.search(
        rf"\nmemory memory-\w{{16}}\.onnx, onnxruntime \S+: {SUMMARY}; \d+\.\d\d ms per frame, \d+\.\d% more than",
        output,
    )
    assert bench(session, 5, as_json=True) == 0
    content = json.loads(capsys.readouterr().out)
    assert set(content["milliseconds"]) == {*WITH_MEMORY, "total"}
    assert content["memory"]["interval"] == 0.16
    assert content["memory"]["bytes_per_camera"] == 4 * (2 + 1 + 2 + 9)


def test_the_memory_is_no_overhead() -> None:
    """Of 5 ms the memory takes 4 and decoding 1."""
    seconds = [[0.001 * (1 if name == "decode" else 4 * (name == "memory")) for name in WITH_MEMORY]] * 2
    measured = Measurement(np.array(seconds), WITH_MEMORY)
    assert measured.overhead == pytest.approx(0.2)
    assert measured.rows()["memory"]["share"] == pytest.approx(80)
