"""No library that we use keeps records of its use, to be sent to somebody."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.tiny_model import write_tiny_model

PROGRAM = """
import sys
from pathlib import Path
from edge.engines import onnxruntime_engine
onnxruntime_engine.load(Path(sys.argv[1]))
"""


def test_onnx_runtime_keeps_no_records(tmp_path: Path) -> None:
    """1.31 would, under `XDG_CACHE_HOME`, for as long as ORT_DISABLE_TELEMETRY is not set."""
    model, home = write_tiny_model(tmp_path / "tiny.onnx"), tmp_path / "home"
    home.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", PROGRAM, str(model)], env=environment, check=True)
    assert not list(home.rglob("*"))
