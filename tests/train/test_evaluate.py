"""`korsal-evaluate`: real pipeline, real video files, a network that is a plain function or a tiny ONNX graph."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge.engines import engine_build
from edge.engines.tensorrt_build_plan import BuildOptions
from tests.support import fake_device
from tests.support.annotated_player import LABELS, MANIFEST, WIDTH, write_data, write_model
from tests.support.full_disk import full_disk
from tests.support.paths import ROOT
from train.datasets.annotation_records import VideoAnnotation
from train.datasets.ucf24 import load_ucf24
from train.evaluate import main
from train.evaluation import detection_file
from train.evaluation.splits import evenly_spaced, of_split


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_whole_command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: str) -> None:
    model, out = write_model(tmp_path / "tiny.onnx"), tmp_path / "made" / "scores.json"
    options = ["--data", str(data), "--json", str(out), "--plots", str(tmp_path / "plots"), "--jobs", jobs]
    assert main([str(model), *options]) == 0
    table = capsys.readouterr().out
    assert "Surfing" in table
    assert "not comparable with published tables" in table
    content = json.loads(out.read_text())
    # Surfing everywhere: right in 16 of the 24 frames of one video and in none of the other's 24; all scores equal
    assert content["per_class"]["Surfing"]["frame_ap"]["0.5"] == pytest.approx(100 * 16 / 48, abs=0.01)
    assert content["per_class"]["Basketball"]["frame_ap"]["0.5"] == 0
    assert content["frame_map"]["0.5"] == pytest.approx(50 * 16 / 48, abs=0.01)
    assert set(content["video_map"]) == {"0.2", "0.5", "0.75", "0.5:0.95"}
    # the tube covers 24 frames, the truth 16 of them: 0.67, and there is one such tube in either video
    assert content["per_class"]["Surfing"]["video_ap"]["0.5"] == pytest.approx(50)
    assert content["per_class"]["Surfing"]["video_ap"]["0.75"] == 0
    assert content["protocol"]["model"]["name"] == "tiny"
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["confusion.png", "precision_recall.png"]


def test_a_region_is_all_that_is_looked_at(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model sees Surfing left of its input's middle, and so left of the right half's, where nobody is."""
    model, out, found = write_model(tmp_path / "tiny.onnx"), tmp_path / "scores.json", tmp_path / "found.npz"
    given = ["--data", str(data), "--region", "0.5,0,0.5,1"]
    assert main([str(model), *given, "--jobs", "1", "--json", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "seen as one picture of the region 0.5, 0, 0.5, 1; percent" in shown
    assert f"detect {model} --data {data} --split validation --region 0.5,0,0.5,1 -o" in shown
    scores = json.loads(out.read_text())
    assert scores["frame_map"]["0.5"] == 0
    assert scores["protocol"]["seen_as"] == "one picture of the region 0.5, 0, 0.5, 1"
    assert main(["detect", str(model), *given, "-o", str(found)]) == 0
    saved = detection_file.load(found)
    assert len(saved.boxes) == saved.frame_counts.sum()
    assert (saved.boxes[:, 0] >= WIDTH / 2).all()


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("step", [True, False])
def test_invalid_outputs_are_reported(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, step: bool, jobs: str
) -> None:
    model = str(write_model(tmp_path / "tiny.onnx", score=float("nan")))
    command = ["detect", model, "-o", str(tmp_path / "found.npz")] if step else [model]
    assert main([*command, "--data", str(data), "--jobs", jobs]) == 0
    (record,) = caplog.records
    assert record.message.startswith("the model returned 48 outputs that are not finite")  # 2 videos of 24 frames


def test_annotated_frames_only_are_kinder(data: Path, tmp_path: Path) -> None:
    model, out = write_model(tmp_path / "tiny.onnx"), tmp_path / "scores.json"
    assert main([str(model), "--data", str(data), "--frames", "annotated", "--jobs", "1", "--json", str(out)]) == 0
    # 16 right, 16 where Basketball is true
    assert json.loads(out.read_text())["per_class"]["Surfing"]["frame_ap"]["0.5"] == pytest.approx(50)


def test_splits_and_limit(data: Path) -> None:
    loaded = load_ucf24(data)
    groups = {
        split: [video.name[-7:-4] for video in of_split(loaded, split)] for split in ("test", "train", "validation")
    }
    assert groups == {"test": ["g01"] * 2, "train": ["g08"] * 2, "validation": ["g23"] * 2}
    many = [VideoAnnotation(str(number), 1, ()) for number in range(10)]
    assert [video.name for video in evenly_spaced(many, 4)] == ["0", "2", "5", "7"]
    assert len(evenly_spaced(many, None)) == len(evenly_spaced(many, 99)) == 10
    assert evenly_spaced([], 4) == ()


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What the command says where it cannot do its job: one line on stderr, exit status 1."""
    assert main([str(argument) for argument in arguments]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("korsal-evaluate: ")
    assert shown.err.count("\n") == 1
    return shown.err


def test_models_that_are_none(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such model" in complaint(capsys, tmp_path / "none.onnx", "--data", data)
    (tmp_path / "bad.onnx").write_bytes(b"bad")
    assert "bad.onnx" in complaint(capsys, tmp_path / "bad.onnx", "--data", data)
    assert "neither .onnx nor .pt" in complaint(capsys, data / "testlist.txt", "--data", data)


def test_checkpoints_that_are_none(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
    assert "none.pt" in complaint(capsys, tmp_path / "none.pt", "--data", data)
    (tmp_path / "bad.pt").write_bytes(b"bad")
    assert "bad.pt" in complaint(capsys, tmp_path / "bad.pt", "--data", data)


def test_a_checkpoint_is_run_by_torch(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
    from train import checkpoint
    from train.networks.lite import LiteDetector

    weights = LiteDetector(len(LABELS), MANIFEST.channels).state_dict()
    checkpoint.save(checkpoint.Checkpoint(MANIFEST, weights, {}), tmp_path / "untrained.pt")
    assert main([str(tmp_path / "untrained.pt"), "--data", str(data), "--limit", "1", "--jobs", "1"]) == 0
    assert "1 of 2 videos" in capsys.readouterr().out


@pytest.mark.parametrize("jobs", [None, "2"])
def test_an_engine_is_run_by_tensorrt(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: str | None
) -> None:
    """In one process, where nothing else is asked for; else each process opens its own, and closes it."""
    model, out = write_model(tmp_path / "tiny.onnx"), tmp_path / "scores.json"
    gpu = fake_device.use(fake_device.gpu_of(model), monkeypatch)
    installed = fake_device.install(tmp_path / "installed", model)
    monkeypatch.syspath_prepend(installed)
    platform = engine_build.platform_of(gpu.trt, gpu.cuda.device())
    engine_build.build(gpu.trt, model, tmp_path / "tiny.engine", BuildOptions(), platform)
    options = ["--data", str(data), "--json", str(out), *(["--jobs", jobs] if jobs else [])]
    assert main([str(tmp_path / "tiny.engine"), *options]) == 0
    content = json.loads(out.read_text())
    assert content["frame_map"]["0.5"] == pytest.approx(50 * 16 / 48, abs=0.01)  # as the ONNX
    assert content["protocol"]["model"]["runtime"] == "tensorrt 10.3.0 fp32"
    assert gpu.runtime.leaks == 0
    assert [file.read_text() for file in installed.glob("leaks-*")] == ["0"] * (2 if jobs else 0)


def test_an_engine_without_tensorrt(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    plan, damaged = tmp_path / "plan", tmp_path / "damaged.engine"
    plan.write_bytes(b"ftrt" + bytes(60))
    damaged.write_bytes(b"\0\0rt" + bytes(60))
    for path in (plan, damaged):
        output = complaint(capsys, path, "--data", data)
        assert "is a TensorRT engine, but TensorRT's Python bindings cannot be loaded" in output
        assert "or give the ONNX that it was built from" in output


def test_a_damaged_engine(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_device.use(fake_device.gpu_of(write_model(tmp_path / "tiny.onnx")), monkeypatch)
    (tmp_path / "damaged.engine").write_bytes(b"\0\0rt" + bytes(60))
    assert "damaged.engine: is not a TensorRT engine, or only a piece of one; rebuild it" in complaint(
        capsys, tmp_path / "damaged.engine", "--data", data
    )


def test_a_model_of_other_actions(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = replace(MANIFEST, labels=("Surfing", "Yoga"))
    model = write_model(tmp_path / "other.onnx", other)
    assert main([str(model), "--data", str(data), "--json", str(tmp_path / "scores.json")]) == 0
    assert (
        "Scored on the one action that both know; left out: the model's Yoga, which UCF101-24 split 1 does not "
        "annotate; the data's Basketball, which the model does not know.\n"
    ) in capsys.readouterr().out
    content = json.loads((tmp_path / "scores.json").read_text())
    assert content["protocol"]["left_out"] == {"of_model": ["Yoga"], "of_data": ["Basketball"]}
    # it says Yoga everywhere, and nothing of Surfing; the video of Basketball stays, in which nobody surfs
    assert content["per_class"].keys() == {"Surfing"}
    assert content["per_class"]["Surfing"]["frame_ap"]["0.5"] == 0
    assert content["protocol"]["videos"] == 2
    strangers = write_model(tmp_path / "strangers.onnx", replace(MANIFEST, labels=("Dive", "Yoga")))
    assert (
        "strangers.onnx: knows none of the actions of UCF101-24 split 1 (Basketball, Surfing), only Dive, Yoga; give "
        "--data with some of its actions, name them in both alike, or train it on this data"
    ) in complaint(capsys, strangers, "--data", data)


def test_a_model_of_more_actions_scores_as_one_of_the_datas_alone(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In another order too: Surfing is the second label of both models."""
    more = replace(MANIFEST, labels=("Yoga", "Surfing", "Basketball"))
    documents = []
    for name, manifest in (("plain", MANIFEST), ("more", more)):
        model, out = write_model(tmp_path / f"{name}.onnx", manifest), tmp_path / f"{name}.json"
        assert main([str(model), "--data", str(data), "--json", str(out)]) == 0
        documents.append(json.loads(out.read_text()))
    assert "left out: the model's Yoga, which UCF101-24 split 1 does not annotate." in capsys.readouterr().out
    plain, of_more = documents
    assert {key: of_more[key] for key in of_more if key != "protocol"} == {
        key: plain[key] for key in plain if key != "protocol"
    }


def test_data_that_is_not_whole(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_model(tmp_path / "tiny.onnx")
    assert "no such folder" in complaint(capsys, model, "--data", tmp_path / "none")
    video = data / "videos" / "Surfing" / "v_Surfing_g01_c01.mp4"
    video.rename(tmp_path / "kept.mp4")
    assert "1 of 2 videos are missing" in complaint(capsys, model, "--data", data)
    video.write_bytes(b"\0 no video")
    for jobs in ("1", "2"):
        assert str(video) in complaint(capsys, model, "--data", data, "--jobs", jobs)
    (data / "testlist.txt").write_text("")
    assert "holds no video" in complaint(capsys, model, "--data", data)
    (data / "pyannot.pkl").write_bytes(b"")
    assert "pyannot.pkl" in complaint(capsys, model, "--data", data)


def test_folders_that_cannot_be_made_are_found_before_the_work(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "tiny.onnx")
    assert "choose another --plots" in complaint(capsys, model, "--data", data, "--plots", model)
    assert "--json" in complaint(capsys, model, "--data", data, "--json", tmp_path)


def test_a_disk_that_fills_while_the_scores_are_written(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are on the screen at least, and no half file is left."""
    model, out = write_model(tmp_path / "tiny.onnx"), tmp_path / "scores.json"
    out.write_text("the old ones")
    with full_disk(100):
        assert main([str(model), "--data", str(data), "--jobs", "1", "--json", str(out)]) == 1
    printed = capsys.readouterr()
    assert "Surfing" in printed.out
    assert "scores.json: cannot be written (File too large); free space on the disk or choose another" in printed.err
    assert out.read_text() == "the old ones"
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("wrong", [["--limit", "0"], ["--threshold", "2"], ["--rule", "coco"], ["--jobs", "many"]])
def test_wrong_options(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["model.onnx", "--data", ".", *wrong])
    assert stopped.value.code == 2


@pytest.mark.parametrize("value", ["abc", "", "2", "-0.1", "nan", "inf", "0,5"])
@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("model.onnx --data . --threshold", "give a number from 0 to 1"),
        ("score --data . --threshold", "give a number from 0 to 1"),
        ("score --data . --tube-nms", "give a number from 0 to 1"),
        ("detect model.onnx -o x.npz --minimum-score", "give a number from 0 to 1"),
        ("events found.npz --start-score", "give a number from 0 to 1"),
        ("events found.npz --rate", "give frames per second, above 0 and up to 1000"),
        ("events found.npz --quiet-rate", "give frames per second, above 0 and up to 1000"),
    ],
)
def test_options_that_are_not_such_numbers_are_refused(
    words: str, remedy: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if (words.endswith("rate"), value) == (True, "2"):
        value = "2000"
    option = words.split()[-1]
    with pytest.raises(SystemExit):
        main([*words.split()[:-1], f"{option}={value}"])
    assert f"argument {option}: {value}: {remedy}\n" in capsys.readouterr().err


@pytest.mark.slow
def test_the_shipped_model_on_real_video(shared: Path, tmp_path: Path) -> None:
    models = sorted(ROOT.joinpath("models").glob("korsal-lite-*.onnx"))
    if not models:
        pytest.skip("no model in models/")
    out = tmp_path / "scores.json"
    assert main([str(models[0]), "--data", str(shared / "ucf24"), "--limit", "10", "--json", str(out)]) == 0
    assert json.loads(out.read_text())["frame_map"]["0.5"] > 40
