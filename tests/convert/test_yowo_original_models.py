"""YOWO's published files all the way through the commands, on seeded weights: checkpoint, export, replay.

The lightest of them; the others differ by their 3-D network alone. Smaller precisions are tested on small networks.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from convert.__main__ import main as convert
from edge.__main__ import main as edge
from tests.support.tiny_videos import FRAMES, picture, write_video

torch.set_num_threads(1)
BACKBONE = "mobilenetv2_1x"


def published(goldens: Path, backbone: str, path: Path) -> Path:
    """A file as YOWO's training saves it, in half precision, to be smaller."""
    spec = importlib.util.spec_from_file_location("seeded", goldens / "seeded.py")
    assert spec is not None
    assert spec.loader is not None
    seeded: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(seeded)
    keys = json.loads((goldens / f"darknet19-{backbone}" / "keys.json").read_text())
    drawn = {name: torch.as_tensor(np.asarray(seeded.values(name, tuple(shape)))) for name, shape in keys.items()}
    state = {f"module.{name}": value.half() if value.ndim else value.long() for name, value in drawn.items()}
    torch.save({"epoch": 5, "state_dict": state}, path)
    return path


@pytest.mark.slow
def test_from_a_published_file_to_a_replay(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    goldens = shared.parent / "goldens" / "yowo"
    if not goldens.is_dir():
        pytest.skip(f"the names and seeds of the published networks are not in {goldens}")
    video = write_video(tmp_path / "videos" / "v.avi", [picture(1, frame, 3) for frame in range(FRAMES)] * 2)
    source = published(goldens, BACKBONE, tmp_path / "yowo_8f.pth")
    checkpoint, model = tmp_path / "yowo.pt", tmp_path / "yowo.onnx"
    assert convert(["checkpoint", str(source), "-o", str(checkpoint), "--size", "64"]) == 0
    source.unlink()
    given = ["--calibrate", str(video), "--frames", "16"]
    assert convert(["export", str(checkpoint), "-o", str(model), *given]) == 0
    assert "answers as torch does, on 16 real frames" in capsys.readouterr().out
    checkpoint.unlink()
    assert edge(["replay", str(video), "--model", str(model)]) == 0
    assert f"{2 * FRAMES} frames; events: " in capsys.readouterr().err
