"""Commands where packages of an extra are missing: what needs them names the extra, all else works."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge import packages
from tests.support.annotated_player import write_model, write_video
from tests.support.made_detections import PERSON, seen
from tests.support.paths import ROOT
from train.evaluation import detection_file

EVALUATE = """
import sys
sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(","), None))  # Python takes them for missing
from train.evaluate import main
sys.exit(main())
"""
ALL = "matplotlib,scipy,torch,onnx"
CVAT = """<annotations>
<meta><task><size>24</size><original_size><width>96</width><height>64</height></original_size>
<source>a.mp4</source></task></meta>
<track id="0" label="Surfing">
<box frame="4" outside="0" occluded="0" xtl="20" ytl="10" xbr="44" ybr="50"/>
<box frame="20" outside="1" occluded="0" xtl="20" ytl="10" xbr="44" ybr="50"/>
</track></annotations>"""


def evaluate(folder: Path, missing: str, words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", EVALUATE, missing, *words.split()]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.xml").write_text(CVAT)
    (tmp_path / "best.pt").write_bytes(b"")
    write_video(tmp_path / "a.mp4")
    write_model(tmp_path / "tiny.onnx")
    return tmp_path


def test_the_steps_need_no_extra(folder: Path) -> None:
    for words in (
        "detect tiny.onnx --videos a.mp4 -o found.npz --jobs 1",
        "link found.npz -o tubes.npz",
        "score --data a.xml --detections found.npz --tubes tubes.npz",
        "events found.npz --data a.xml",
        "export found.npz --format yowo -o yowo",
    ):
        done = evaluate(folder, ALL, words)
        assert (done.returncode, done.stderr) == (0, ""), words


@pytest.mark.parametrize(
    ("missing", "words", "message"),
    [
        ("cv2", "--help", "OpenCV is not installed: pip install 'korsal-edge[cpu]', or on a Jetson take JetPack's own"),
        ("onnxruntime", "tiny.onnx --data a.xml", "onnxruntime is not installed: pip install 'korsal-edge[cpu]'"),
        (
            "matplotlib",
            "score --data a.xml --plots plots --detections x.npz",
            "matplotlib is not installed: pip install 'korsal-edge[evaluate]'",
        ),
        (
            "scipy",
            "export saved.npz --format road -o road",
            "SciPy is not installed: pip install 'korsal-edge[evaluate]'",
        ),
        (
            "torch",
            "best.pt --data a.xml",
            "torch is not installed: pip install 'korsal-edge[train]', on a PC: a device has no use for PyTorch",
        ),
    ],
)
def test_a_missing_package_is_reported_with_its_extra(folder: Path, missing: str, words: str, message: str) -> None:
    detection_file.save(seen([(0, 1, PERSON, 0, 0.5)]), folder / "saved.npz")
    done = evaluate(folder, missing, words)
    assert (done.returncode, done.stderr) == (1, f"korsal-evaluate: {message}\n")


def test_what_is_installed_is_not_missing() -> None:
    packages.require("cv2")
