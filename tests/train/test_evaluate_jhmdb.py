"""`korsal-evaluate MODEL` on J-HMDB-21's layout, by KORSAL's protocol and linker, with a video that ends too early."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.manifest import from_json, to_json
from tests.support.annotated_player import BOX, FRAMES, LABELS, write_model, write_video
from train.evaluate import main

SHORT = 20  # frames of a file whose annotation has FRAMES


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two classes; in split 2 a test video of each, whose person is annotated from the first to the last frame."""
    folder = tmp_path / "jhmdb"
    x1, y1, x2, y2 = map(int, BOX)
    xywh = np.tile(np.array([x1 + 1, y1 + 1, x2 - x1, y2 - y1], np.uint8), (FRAMES, 1))
    annotations = {}
    for label, action in enumerate(LABELS):
        name = f"{action}/film_{label}_{action}_f_cm_np1_fr_med_0"
        tube = {"label": label, "sf": 0, "ef": FRAMES, "boxes": xywh}
        annotations[name] = {"label": label, "numf": FRAMES, "annotations": [tube]}
        write_video(folder / "videos" / f"{name}.mp4", SHORT if action == "Surfing" else FRAMES)
    (folder / "hmdb_annots.pkl").write_bytes(pickle.dumps(annotations, protocol=2))
    for fold in (1, 2, 3):
        test = "".join(f"{name}\n" for name in annotations)
        (folder / f"testlist{fold:02}.txt").write_text(test if fold == 2 else "")
        (folder / f"trainlist{fold:02}.txt").write_text("")
    return folder


def test_korsals_protocol_and_linker(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model says Surfing at the right place in every frame of both videos."""
    model, out = write_model(tmp_path / "tiny.onnx"), tmp_path / "scores.json"
    options = ["--data", str(data), "--split", "test", "--fold", "2", "--protocol", "korsal", "--linker", "korsal"]
    assert main([str(model), *options, "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "tiny on J-HMDB-21 split 2, test: 2 of 2 videos, protocol korsal, all frames, AP rule voc, linker" in printed
    assert f"--data {data} --fold 2 --split validation -o validation.npz" in printed
    found = json.loads(out.read_text())
    assert (found["protocol"]["protocol"], found["protocol"]["linker"]) == ("korsal", "korsal")
    surfing = found["per_class"]["Surfing"]
    # what is annotated beyond the end of the file is not missed: all 20 boxes are found, beside 24 false ones
    assert (surfing["boxes"], surfing["tubes"]) == (SHORT, 1)
    assert surfing["frame_ap"]["0.5"] == pytest.approx(100 * SHORT / (SHORT + FRAMES), abs=0.01)
    assert found["per_class"]["Basketball"]["frame_ap"]["0.5"] == 0
    # of the two tubes one is right, also at 0.75: moved by a pixel of 24 × 40 it keeps 0.87
    assert [surfing["video_ap"][key] for key in ("0.2", "0.5", "0.75")] == [50, 50, 50]
    assert found["video_map"]["0.5"] == 25


def test_it_warns_of_a_model_that_was_trained_on_another_split(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    path = write_model(tmp_path / "tiny.onnx")
    model = onnx.load(str(path))
    for entry in model.metadata_props:
        known = replace(from_json(entry.value), training={"data": "UCF101-24 split 1 + J-HMDB-21 split 1"})
        entry.value = to_json(known)
    onnx.save(model, str(path))
    options = ["--data", str(data), "--limit", "1", "--jobs", "1"]
    for words in ([str(path)], ["detect", str(path), "-o", str(tmp_path / "found.npz")]):
        caplog.clear()
        assert main([*words, *options, "--fold", "2"]) == 0
        assert "was trained on J-HMDB-21 split 1, so it may have learnt from these videos" in caplog.text


def test_single_choices_change_a_protocol(data: Path, tmp_path: Path) -> None:
    model, out = write_model(tmp_path / "tiny.onnx"), tmp_path / "scores.json"
    options = ["--data", str(data), "--fold", "2", "--protocol", "act", "--rule", "voc", "--no-tube-nms"]
    assert main([str(model), *options, "--json", str(out)]) == 0
    protocol = json.loads(out.read_text())["protocol"]
    assert (protocol["protocol"], protocol["rule"]) == ("act, changed", "voc")
    assert protocol["in_videos"]["tube_nms"] is None
