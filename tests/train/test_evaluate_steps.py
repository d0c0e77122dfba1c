"""`korsal-evaluate detect | link | score | events | export`, on one's own videos: each step alone, and all at once."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.default_linker import DefaultLinker
from edge.engines.onnx_network import without_preprocessing
from edge.inference import Engine
from edge.pipeline import PipelineSettings
from tests.support.annotated_player import (
    BOX,
    FRAMES,
    HEIGHT,
    LABELS,
    MANIFEST,
    PLAYS,
    WIDTH,
    sees_bright_things,
    write_model,
    write_video,
)
from tests.support.frame_model import MANIFEST as FRAME_MANIFEST
from tests.support.frame_model import write_frame_model
from tests.support.spot_model import write_spot_video
from tests.support.started_daemon import write_video as write_clip
from train.datasets.annotation_records import VideoAnnotation
from train.evaluate import main
from train.evaluation import detection_file, evaluation, linking, scoring, tube_file, video_evaluation
from train.evaluation.action_lengths import MIN_SPREAD
from train.evaluation.action_tubes import Segmentation, TypicalLength
from train.evaluation.detection import DetectionTask, detect_video
from train.evaluation.detection_file import SavedDetections
from train.evaluation.protocols import PROTOCOLS
from train.evaluation.scoring import ScoreError, ScoreOptions
from train.evaluation.splits import EvaluationError
from train.evaluation.tube_file import SavedTubes
from train.evaluation.video_pipeline import run_video


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One's own: a video of each class for testing, annotated with CVAT."""
    folder = tmp_path / "data"
    (folder / "annotations").mkdir(parents=True)
    x1, y1, x2, y2 = BOX
    corners = f'xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"'
    for label in LABELS:
        write_video(folder / "videos" / f"{label}.mp4")
        boxes = [f'<box frame="{n}" outside="0" occluded="0" {corners}/>' for n in (PLAYS.start, PLAYS.stop - 1)]
        size = f"<original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size>"
        meta = f"<meta><task><size>{FRAMES}</size>{size}<source>{label}.mp4</source></task></meta>"
        track = f'<track id="0" label="{label}">{"".join(boxes)}</track>'
        (folder / "annotations" / f"{label}.xml").write_text(f"<annotations>{meta}{track}</annotations>")
    (folder / "testlist.txt").write_text("Basketball\nSurfing\n")
    (folder / "trainlist.txt").write_text("")
    return folder


def run(*words: str | Path) -> int:
    return main([str(word) for word in words])


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize(("linker", "jobs"), [("default", "1"), ("korsal", "1"), ("default", "2")])
def test_the_steps_together_give_what_the_one_command_gives(
    data: Path, tmp_path: Path, linker: str, jobs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "tiny.onnx")
    found, tubes = tmp_path / "detections.npz", tmp_path / "tubes.npz"
    assert run("detect", model, "--data", data, "-o", found, "--jobs", jobs) == 0
    assert run("link", found, "--data", data, "-o", tubes, "--linker", linker) == 0
    out, whole = tmp_path / "made" / "steps.json", tmp_path / "whole.json"
    assert run("score", "--data", data, "--detections", found, "--tubes", tubes, "--json", out) == 0
    assert "missed" in capsys.readouterr().out
    assert run(model, "--data", data, "--linker", linker, "--jobs", "1", "--json", whole) == 0
    steps, one = read(out), read(whole)
    for key in ("frame_map", "video_map", "mean", "confusion", "errors"):
        assert steps[key] == one[key], key
    # Surfing everywhere: right in 16 of 48 frames, all scores equal
    assert steps["per_class"]["Surfing"]["frame_ap"]["0.5"] == pytest.approx(100 * 16 / 48, abs=0.01)
    assert steps["protocol"]["data"] == one["protocol"]["data"] == "own data, test"


def test_tubes_are_cut_by_the_lengths_of_the_training_part(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven tubes of Surfing, of which the fifth video is for validation."""
    names = [f"t{n}" for n in range(7)]
    for name in names:
        annotation = (data / "annotations" / "Surfing.xml").read_text().replace("Surfing.mp4", f"{name}.mp4")
        (data / "annotations" / f"{name}.xml").write_text(annotation)
    (data / "trainlist.txt").write_text("\n".join(names))
    model, found = write_model(tmp_path / "tiny.onnx"), tmp_path / "detections.npz"
    assert run("detect", model, "--data", data, "-o", found) == 0
    usual = TypicalLength(pytest.approx(len(PLAYS) / 25), MIN_SPREAD)  # type: ignore[arg-type]
    given: list[Any] = []
    link, watch = linking.link, video_evaluation.evaluate_video
    monkeypatch.setattr(linking, "link", lambda boxes, method, *rest: given.append(method) or link(boxes, method))
    monkeypatch.setattr(evaluation, "evaluate_video", lambda *words: given.append(words[5]) or watch(*words))
    assert run("link", found, "--data", data, "-o", tmp_path / "tubes.npz") == 0
    assert run("link", found, "-o", tmp_path / "tubes.npz") == 0
    assert run(model, "--data", data, "--jobs", "1") == 0
    informed, alone, *whole = given
    assert informed.action_tubes.lengths == (None, usual)
    assert alone.action_tubes.lengths == (None, None)
    assert whole == [{"Surfing": usual}] * 2


def test_only_ground_truth_and_files_are_needed(data: Path, tmp_path: Path) -> None:
    model, found = write_model(tmp_path / "tiny.onnx"), tmp_path / "detections.npz"
    assert run("detect", model, "--data", data, "-o", found) == 0
    for path in (data / "videos").iterdir():
        path.unlink()
    for protocol in PROTOCOLS:
        out = tmp_path / f"{protocol}.json"
        assert run("score", "--data", data, "--detections", found, "--protocol", protocol, "--json", out) == 0
        assert read(out)["protocol"]["protocol"] == protocol
        assert read(out)["video_map"]["0.5"] is None
    # in annotated frames Surfing is right in 16 of 32
    assert read(tmp_path / "yowo.json")["per_class"]["Surfing"]["frame_ap"]["0.5"] == pytest.approx(50)
    out, choices = (
        tmp_path / "changed.json",
        ["--last-pixel", "--more-than", "--tube-nms", "0.3", "--zero-without-truth"],
    )
    assert run("score", "--data", data, "--detections", found, "--json", out, *choices) == 0
    changed = read(out)["protocol"]
    assert (changed["protocol"], changed["in_videos"]["tube_nms"]) == ("plain, changed", 0.3)
    assert changed["in_frames"]["true_edges"] == [0, 0, 1, 1]
    assert changed["in_frames"]["more_than"]
    assert changed["in_frames"]["zero_without_truth"]
    choices = ["--protocol", "act", "--no-last-pixel", "--no-more-than", "--no-tube-nms", "--no-zero-without-truth"]
    assert run("score", "--data", data, "--detections", found, "--json", out, *choices, "--rule", "voc") == 0
    act, plain = read(out)["protocol"], read(tmp_path / "plain.json")["protocol"]
    assert act["protocol"] == "act, changed"
    assert {**act, "protocol": "plain"} == plain
    assert run("score", "--data", data, "--detections", found, "--json", out, "--frames", "annotated") == 0
    assert read(out)["protocol"]["protocol"] == "plain, changed"
    assert run("score", "--data", data, "--detections", found, "--json", out, "--frames", "all") == 0
    assert read(out)["protocol"]["protocol"] == "plain"
    plots = tmp_path / "plots"
    alone = data / "annotations" / "Surfing.xml"
    assert run("score", "--data", alone, "--detections", found, "--rule", "act", "--plots", plots) == 0
    assert sorted(path.name for path in plots.iterdir()) == ["confusion.png", "precision_recall.png"]


def test_of_tubes_alone_nothing_is_said_of_boxes_in_frames(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, found, tubes, out = (tmp_path / name for name in ("tiny.onnx", "found.npz", "tubes.npz", "scores.json"))
    assert run("detect", write_model(model), "--data", data, "-o", found) == 0
    assert run("link", found, "-o", tubes) == 0
    capsys.readouterr()
    assert run("score", "--data", data, "--tubes", tubes, "--json", out, "--threshold", "0.5") == 0
    (mean,) = (line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("mean"))
    assert mean[1:3] == ["-", "-"]
    assert mean[-4:] == ["-", "-", "-", "-"]
    scores = read(out)
    assert scores["video_map"]["0.5"] is not None
    assert {*scores["errors"].values(), *scores["mean"].values()} == {None}
    assert scores["per_class"]["Surfing"]["recall"] is None
    assert scores["per_class"]["Surfing"]["boxes"] > 0
    assert scores["confusion"] == {"score": None, "matrix": []}
    assert run("score", "--data", data, "--tubes", tubes, "--plots", tmp_path / "plots") == 1
    assert "shows boxes in frames, which tubes are not; give --detections too" in capsys.readouterr().err


def test_tubes_do_not_take_the_place_of_their_detections(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, found = write_model(tmp_path / "tiny.onnx"), tmp_path / "detections.npz"
    assert run("detect", model, "--data", data, "-o", found) == 0
    before = found.read_bytes()
    assert run("link", found, "-o", tmp_path / "." / "detections.npz") == 1
    assert "detections.npz: holds the detections to link; give -o another name" in capsys.readouterr().err
    assert found.read_bytes() == before


@pytest.mark.parametrize("kind", ["road", "moc", "yowo"])
def test_exported_detections_score_the_same(data: Path, tmp_path: Path, kind: str) -> None:
    model, found = write_model(tmp_path / "tiny.onnx"), tmp_path / "detections.npz"
    assert run("detect", model, "--data", data, "-o", found) == 0
    other = tmp_path / ("frame_detections.pkl" if kind == "moc" else "exported")
    assert run("export", found, "--format", kind, "-o", other) == 0
    for path, out in ((found, tmp_path / "ours.json"), (other, tmp_path / "theirs.json")):
        assert run("score", "--data", data, "--detections", path, "--json", out) == 0
    assert read(tmp_path / "ours.json")["frame_map"] == read(tmp_path / "theirs.json")["frame_map"]
    assert run("link", other, "-o", tmp_path / "tubes.npz") == 1  # it names neither videos nor classes
    assert run("link", other, "-o", tmp_path / "tubes.npz", "--data", data) == 0
    assert len(tube_file.load(tmp_path / "tubes.npz").tubes) == 2


@pytest.mark.parametrize("kind", ["road", "moc", "yowo", "moc-tubes"])
def test_what_is_exported_has_the_numbers_of_the_data(
    kind: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a model that knows more, and its actions in another order; of videos in another order."""
    model, detected, saved = (tmp_path / name for name in ("tiny.onnx", "detected.npz", "saved.npz"))
    assert run("detect", write_model(model), "--data", data, "-o", detected) == 0
    found = detection_file.load(detected, dense=True)
    assert (found.video_names, found.label_names) == (("Basketball", "Surfing"), LABELS)
    assert found.class_scores is not None
    turned = replace(
        found,
        video_names=found.video_names[::-1],
        label_names=("Swim", *LABELS[::-1]),
        video=1 - found.video,
        labels=len(LABELS) - found.labels,
        class_scores=np.insert(found.class_scores[:, ::-1], 0, 0, axis=1),
    )
    detection_file.save(turned, saved)
    option, other = "--detections", tmp_path / ("other.pkl" if kind == "moc" else "other")
    if kind == "moc-tubes":
        assert run("link", saved, "-o", tmp_path / "tubes.npz") == 0
        option, saved = "--tubes", tmp_path / "tubes.npz"
    assert run("export", saved, "--format", kind, "-o", other, "--data", data) == 0
    assert "note: Swim is left out, which own data does not annotate" in capsys.readouterr().out
    for path, out in ((saved, tmp_path / "ours.json"), (other, tmp_path / "theirs.json")):
        assert run("score", "--data", data, option, path, "--json", out) == 0
    ours, theirs = (read(tmp_path / name)["per_class"] for name in ("ours.json", "theirs.json"))
    assert ours == theirs
    assert {one["boxes"] > 0 for one in ours.values()} == {True}


def test_exported_tubes_score_the_same(data: Path, tmp_path: Path) -> None:
    model, found, tubes = write_model(tmp_path / "tiny.onnx"), tmp_path / "detections.npz", tmp_path / "tubes.npz"
    assert run("detect", model, "--data", data, "-o", found) == 0
    assert run("link", found, "-o", tubes) == 0
    assert run("export", tubes, "--format", "moc-tubes", "-o", tmp_path / "moc") == 0
    for path, out in ((tubes, tmp_path / "ours.json"), (tmp_path / "moc", tmp_path / "theirs.json")):
        assert run("score", "--data", data, "--tubes", path, "--json", out) == 0
    assert read(tmp_path / "ours.json")["video_map"] == read(tmp_path / "theirs.json")["video_map"]
    assert read(tmp_path / "ours.json")["video_map"]["0.5"] == pytest.approx(25)


def test_impossible_options_give_a_one_sentence_error(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def error_output(*words: str | Path) -> str:
        assert run(*words) == 1
        line = capsys.readouterr().err
        assert line.startswith("korsal-evaluate: ")
        assert line.count("\n") == 1
        return line

    model, found = write_model(tmp_path / "tiny.onnx"), tmp_path / "detections.npz"
    assert "nothing to score" in error_output("score", "--data", data)
    assert "cannot be read" in error_output("link", tmp_path / "none.npz", "-o", tmp_path / "x.npz")
    (tmp_path / "bad.npz").write_bytes(b"bad")
    assert "not a valid .npz file" in error_output("score", "--data", data, "--tubes", tmp_path / "bad.npz")
    assert run("detect", model, "--data", data, "-o", found, "--limit", "1") == 0
    capsys.readouterr()
    assert "lacks 1 of 2 videos" in error_output("score", "--data", data, "--detections", found)
    assert run("score", "--data", data, "--detections", found, "--partial") == 0
    capsys.readouterr()
    assert "2 files of detections and 1 of tubes" in error_output(
        "score", "--data", data, "--detections", found, found, "--tubes", found
    )
    (tmp_path / "file").touch()
    assert "cannot be written" in error_output("link", found, "-o", tmp_path / "file" / "tubes.npz")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        run("detect", model, "--data", data, "-o", found, "--minimum-score", "2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("detect none.onnx --videos v.mp4 -o .", "is a folder; give -o a file to write"),
        ("detect none.onnx --videos v.mp4 -o found", "found: would not be read back; give -o a name that ends in .npz"),
        ("detect none.onnx --videos v.mp4 -o file/found.npz", "found.npz: cannot be written (its folder is a file)"),
        ("link none.npz -o .", "is a folder; give -o a file to write"),
        ("link none.npz -o tubes", "tubes: would not be read back; give -o a name that ends in .npz"),
        ("score --data none --detections none.npz --json .", "is a folder; give --json a file to write"),
        ("score --data none --detections none.npz --plots file", "choose another --plots"),
        ("export none.npz --format moc -o found", "found: would not be read back; give -o a name that ends in .pkl"),
        ("export none.npz --format moc -o .", "is a folder; give -o a file to write"),
        ("export none.npz --format yowo -o x.pkl", "yowo is a folder of files; give -o a name without .pkl"),
        ("export none.npz --format road -o .", "holds files already, which would be read with the new ones"),
        ("export none.npz --format moc-tubes -o x.npz", "moc-tubes is a folder of files; give -o a name without .npz"),
    ],
)
def test_output_paths_are_checked_before_the_work(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The inputs are missing, which does not show: the output path is refused before they are opened."""
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert run(*words.split()) == 1
    assert message in capsys.readouterr().err


def test_a_place_to_write_is_made_and_left_empty_until_the_end(tmp_path: Path) -> None:
    assert run("link", tmp_path / "none.npz", "-o", tmp_path / "new" / "tubes.npz") == 1
    assert list((tmp_path / "new").iterdir()) == []


def test_videos_without_annotations_can_be_watched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, found = write_model(tmp_path / "tiny.onnx"), tmp_path / "detections.npz"
    street, yard = tmp_path / "street.mp4", tmp_path / "yard.mp4"
    write_video(street)
    write_video(yard)
    assert run("detect", model, "--videos", street, yard, "-o", found) == 0
    saved = detection_file.load(found)
    assert saved.video_names == ("street", "yard")
    assert saved.frame_counts.tolist() == [FRAMES, FRAMES]
    (tmp_path / "other").mkdir()
    write_video(tmp_path / "other" / "street.mp4")
    assert run("detect", model, "--videos", street, tmp_path / "other" / "street.mp4", "-o", found) == 0
    assert detection_file.load(found).video_names == ("street", "other/street")
    capsys.readouterr()
    assert run("detect", model, "--videos", street, yard.parent / "other" / ".." / "street.mp4", "-o", found) == 1
    assert "two videos of this name" in capsys.readouterr().err
    assert run("detect", model, "--videos", tmp_path / "none.mp4", "-o", found) == 1
    assert "none.mp4" in capsys.readouterr().err
    assert run("detect", model, "-o", found) == 1
    assert "give --data" in capsys.readouterr().err
    assert run("detect", model, "--videos", tmp_path / "street.mp4", "--data", tmp_path, "-o", found) == 1
    assert "give one of them" in capsys.readouterr().err


def test_a_model_that_prepares_frames_itself_is_evaluated_like_its_network(tmp_path: Path) -> None:
    """Of a prepared input on the CPU, as the daemon runs it there: a frame of any size."""
    frames, alone = tmp_path / "frames.onnx", tmp_path / "alone.onnx"
    write_frame_model(frames)
    alone.write_bytes(without_preprocessing(frames.read_bytes(), FRAME_MANIFEST)[0])
    video = write_spot_video(tmp_path / "video.avi")
    scores = []
    for model in (frames, alone):
        assert run("detect", model, "--videos", video, "-o", tmp_path / "found.npz") == 0
        saved = detection_file.load(tmp_path / "found.npz")
        scores.append(np.sort(saved.scores))
    assert len(scores[0]) >= 50  # the spot's frames
    np.testing.assert_array_equal(scores[0], scores[1])


def test_each_video_is_linked_at_its_own_rate_or_the_given_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files from before, or of other projects, name no rate: they are linked at 25 as they always were."""
    model, found, old = write_model(tmp_path / "tiny.onnx"), tmp_path / "found.npz", tmp_path / "old.npz"
    clips = [write_clip(tmp_path / f"{rate}.avi", "#" * 30, rate) for rate in (10, 25)]
    assert run("detect", model, "--videos", *clips, "-o", found) == 0
    saved = detection_file.load(found, dense=True)
    assert saved.frame_rates is not None
    assert saved.frame_rates.tolist() == [10, 25]
    detection_file.save(replace(saved, frame_rates=None), old)
    rates: list[float] = []
    monkeypatch.setattr(Segmentation, "__call__", lambda cut, history, rate: rates.append(rate) or [])
    monkeypatch.setattr(DefaultLinker, "step", lambda linker, state, found, time: rates.append(time) or (state, ()))
    for file, words, (first, other) in (
        (found, (), (10, 25)),
        (old, (), (25, 25)),
        (found, ("--rate", "5"), (5, 5)),
        (old, ("--rate", "12.5"), (12.5, 12.5)),
    ):
        rates.clear()
        assert run("link", file, *words, "-o", tmp_path / "tubes.npz") == 0
        times = [[frame / rate for frame in range(30)] for rate in (first, other)]
        assert rates == [*times[0], first, *times[1], other]
        rates.clear()
        assert run("events", file, *words) == 0
        assert rates == [*times[0], *times[1]]


def test_the_rate_that_a_data_set_is_published_with_is_kept_whatever_its_files_say(tmp_path: Path) -> None:
    """UCF101 is published with 25; some of its files name another rate."""
    clip = write_clip(tmp_path / "v.avi", "#" * 20, 30)
    annotation = VideoAnnotation("v", 20, ())
    engine = Engine(sees_bright_things, MANIFEST, "", "test")
    assert detect_video(engine, DetectionTask(annotation, clip, 0.1)).rate == 30
    assert detect_video(engine, DetectionTask(annotation, clip, 0.1, rate=25.0)).rate == 25
    settings = PipelineSettings()
    times = [frame.monotonic_time for frame, *_ in run_video(annotation, clip, engine, settings, 25.0)]
    assert times == pytest.approx([frame / 25 for frame in range(20)])
    times = [frame.monotonic_time for frame, *_ in run_video(annotation, clip, engine, settings)]
    assert times == pytest.approx([frame / 30 for frame in range(20)], abs=1e-3)


def test_events_of_saved_detections(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model sees Surfing in every frame; in one of the two videos a person surfs for a third of the time."""
    model, found = write_model(tmp_path / "tiny.onnx"), tmp_path / "detections.npz"
    assert run("detect", model, "--data", data, "-o", found) == 0
    capsys.readouterr()
    assert run("events", found, "--data", data, "--rate", "20", "--start-score", "0.1", "1") == 0
    low, high, following = capsys.readouterr().out.splitlines()[2:]
    assert following == f"Next: korsal-evaluate detect MODEL --data {data} --split validation -o validation.npz"
    assert low.split()[:4] == ["0.1", "2", "50.0", "%"]
    assert high.split()[4:7] == ["-", "0", "-"]  # no delay, no event, no share of right ones
    assert run("events", found, "--rate", "20", "--start-score", "0.1") == 0
    alarms = capsys.readouterr().out.splitlines()[2].split()
    assert alarms[1:8] == ["0", "-", "-", "2", "0.0", "%", "2"]  # without annotations all are alarms


def test_start_scores_are_chosen(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, found, chosen = write_model(tmp_path / "tiny.onnx"), tmp_path / "detections.npz", tmp_path / "start.json"
    quiet = tmp_path / "quiet.npz"
    write_video(tmp_path / "street.mp4")
    assert run("detect", model, "--data", data, "-o", found) == 0
    assert run("detect", model, "--videos", tmp_path / "street.mp4", "-o", quiet) == 0
    assert run("events", found, "--data", data, "--choose", chosen) == 0
    scores = read(chosen)["start_scores"]
    assert scores.keys() == {"Surfing"}  # Basketball is never detected
    capsys.readouterr()
    assert run("events", found, "--data", data, "--choose", chosen, "--quiet", quiet) == 0
    assert read(chosen)["start_scores"] == scores  # each that recalls the surfer has an event on the street
    assert "events in quiet videos: 1" in capsys.readouterr().out
    assert run("events", found, "--choose", chosen) == 1
    assert "give the --data" in capsys.readouterr().err


def some(videos: tuple[str, ...], labels: tuple[str, ...]) -> SavedDetections:
    none = np.zeros(0, np.int64)
    sizes = np.zeros((len(videos), 2), np.int64)
    counts = np.zeros(len(videos), np.int64)
    return SavedDetections(
        videos, labels, counts, sizes, none, none, np.zeros((0, 4), np.float32), none.astype(np.float32), none
    )


@pytest.mark.parametrize(
    ("linker", "frames"),
    # seen in 1 to 20 and 23 to 30 of 40: korsal repeats the last box five times more, road fills the gap alone
    [("default", 30), ("korsal", 35), ("korsal-step", 35), ("korsal-scrSim", 35), ("road", 30)],
)
def test_every_linker_is_had_by_its_name(linker: str, frames: int, tmp_path: Path) -> None:
    at = np.array([*range(20), *range(22, 30)], np.int64)
    ones = np.ones(len(at), np.float32)
    boxes = np.outer(ones, np.array([10, 10, 50, 90], np.float32))
    found, tubes = tmp_path / "found.npz", tmp_path / "tubes.npz"
    one = SavedDetections(("a",), LABELS, np.array([40]), np.array([[320, 240]]), at * 0, at, boxes, ones * 0.9, at * 0)
    detection_file.save(one, found)
    assert run("link", found, "-o", tubes, "--linker", linker) == 0
    assert [len(saved.tube.boxes) for saved in tube_file.load(tubes).tubes] == [frames]


def test_detections_of_other_data_are_refused(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    options = ScoreOptions(data, (path,), (), PROTOCOLS["plain"], partial=True)
    for saved, expected in (
        (
            some(("Surfing", "Basketball"), ("walk",)),
            r"knows none of the actions of .* \(.*\), only walk; give the",
        ),
        (some(("else",), LABELS), "names none of the 2 videos of the split; give the --data that was detected in"),
    ):
        detection_file.save(saved, path)
        with pytest.raises((EvaluationError, ScoreError), match=expected):
            scoring.score(options)


def test_an_empty_split_is_refused(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "found.npz"
    detection_file.save(some(("Surfing",), LABELS), path)
    options = ScoreOptions(data / "annotations" / "Surfing.xml", (path,), (), PROTOCOLS["plain"], split="train")
    with pytest.raises(EvaluationError, match=r"its split train holds no video \(test holds 1, validation holds 0\)"):
        scoring.score(options)


def test_two_files_of_the_one_split_are_refused(data: Path, tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        detection_file.save(some(("Basketball", "Surfing"), LABELS), tmp_path / name)
    options = ScoreOptions(data, (tmp_path / "a.npz", tmp_path / "b.npz"), (), PROTOCOLS["plain"])
    with pytest.raises(ScoreError, match=r"b\.npz: would be of the next split, but own data has one split, not 2"):
        scoring.score(options)


def test_three_splits_are_scored_and_averaged(shared: Path, tmp_path: Path) -> None:
    """The truth itself of two splits scores 100, nothing at all in the third 0."""
    from train.box_tables import Tube
    from train.datasets import loader
    from train.evaluation.tube_file import SavedTube

    paths = []
    for fold in (1, 2, 3):
        split = loader.load(shared / "jhmdb21", fold)
        tubes = [
            SavedTube(Tube(place, t.label, 1.0, t.first_frame, t.boxes), np.ones(len(t.boxes), np.float32))
            for place, video in enumerate(split.test)
            for t in (video.tubes if fold < 3 else ())
        ]
        names = tuple(video.name for video in split.test)
        paths.append(tmp_path / f"{fold}.npz")
        tube_file.save(SavedTubes(names, split.labels, tuple(tubes)), paths[-1])
    results = scoring.score(ScoreOptions(shared / "jhmdb21", (), tuple(paths), PROTOCOLS["act"]))
    document = scoring.as_document(results, {})
    assert [one["video_map"]["0.5:0.95"] for one in document["splits"]] == [100, 100, 0]
    assert document["mean"]["video_map"]["0.5"] == pytest.approx(66.67)
    assert document["mean"]["frame_map"]["0.5"] is None
    assert "J-HMDB-21 split 1" in document["splits"][0]["protocol"]["data"]


def test_linking_keeps_videos_apart_and_clips_to_the_frame() -> None:
    frames = np.tile(np.arange(8), 2)
    boxes = np.tile(np.array([[80, 10, 120, 50]], np.float32), (16, 1))
    found = SavedDetections(
        ("a", "b"),
        LABELS,
        np.array([8, 0]),
        np.array([[96, 64], [0, 0]]),
        np.repeat([0, 1], 8),
        frames,
        boxes,
        np.full(16, 0.9, np.float32),
        np.ones(16, np.int64),
    )
    calls: list[int] = []
    method = linking.LINKING_METHODS["default"]
    made = linking.link(found, method, lambda: calls.append(1))
    assert [(one.tube.video, one.tube.label, one.tube.first_frame, len(one.tube.boxes)) for one in made.tubes] == [
        (0, 1, 0, 8),
        (1, 1, 0, 8),
    ]
    assert [float(one.tube.boxes[:, 2].max()) for one in made.tubes] == [96, 120]  # the second's size is unknown
    assert len(calls) == 2
    again = linking.link(replace(found, class_scores=np.tile([0, 0.9], (16, 1)).astype(np.float32)), method)
    assert len(again.tubes) == 2


def test_what_foreign_files_leave_out() -> None:
    video_index = scoring.video_index([VideoAnnotation("a", 7, (), (320, 240)), VideoAnnotation("b", 3, ())], ("x",))
    assert video_index.frame_counts.tolist() == [7, 3]
    assert video_index.frame_sizes.tolist() == [[320, 240], [0, 0]]
