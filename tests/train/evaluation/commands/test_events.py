"""`korsal-evaluate events`: what goes together, and what does not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.made_detections import AWAY, LABELS, PERSON, seen
from train.evaluate import main
from train.evaluation import detection_file

CVAT = """<annotations>
<meta><task><size>100</size><original_size><width>320</width><height>240</height></original_size>
<source>a.mp4</source></task></meta>
<track id="0" label="Run">
<box frame="20" outside="0" occluded="0" xtl="20" ytl="30" xbr="60" ybr="110"/>
<box frame="59" outside="0" occluded="0" xtl="20" ytl="30" xbr="60" ybr="110"/>
</track></annotations>"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Annotations, detections of the same video, of a street where something seems to be, and of another model."""
    monkeypatch.chdir(tmp_path)
    Path("a.xml").write_text(CVAT)
    found = seen([(20, 60, PERSON, 0, 0.8), (20, 60, AWAY, 1, 0.6)])
    detection_file.save(found, Path("found.npz"))
    detection_file.save(replace(found, video_names=("b",)), Path("foreign.npz"))
    detection_file.save(seen([(20, 60, PERSON, 0, 0.3)]), Path("street.npz"))
    detection_file.save(seen([(20, 60, PERSON, 0, 0.9)]), Path("loud.npz"))
    other = seen([(20, 60, PERSON, 0, 0.3)])
    detection_file.save(replace(other, label_names=LABELS[::-1]), Path("other.npz"))
    detection_file.save(replace(other, label_names=("Walk", "Jump")), Path("walk.npz"))
    silent = seen([])
    nothing = replace(silent, label_names=(), class_scores=np.zeros((0, 0), np.float32))
    detection_file.save(nothing, Path("nothing.npz"))
    nowhere = replace(silent, video_names=(), frame_counts=np.zeros(0, np.int64), frame_rates=np.zeros(0))
    detection_file.save(replace(nowhere, frame_sizes=np.zeros((0, 2), np.int64)), Path("nowhere.npz"))
    Path("start.json").write_text(json.dumps({"start_scores": {"Fly": 0.5}}))


def events(words: str) -> int:
    return main(["events", *words.split()])


def chosen() -> dict[str, float]:
    found: dict[str, float] = json.loads(Path("out.json").read_text())["start_scores"]
    return found


def test_chosen_scores_are_printed_by_action(capsys: pytest.CaptureFixture[str]) -> None:
    assert events("found.npz --data a.xml --rate 10 --choose out.json") == 0
    alone = chosen()
    assert alone.keys() == {"Run"}
    assert events("found.npz --data a.xml --rate 10 --choose out.json --quiet street.npz --quiet-rate 10") == 0
    beside_street = chosen()["Run"]
    assert alone["Run"] < beside_street  # the middle of those that the street does not reach
    assert "Run: " in capsys.readouterr().out
    assert events("found.npz --data a.xml --rate 10 --start-scores out.json") == 0
    left_out, _, _, run, both, following = capsys.readouterr().out.splitlines()
    assert left_out.endswith("left out: the model's Jump, which own data does not annotate.")
    assert run.split()[:5] == ["Run", f"{beside_street:g}", "1", "100.0", "%"]
    assert both.split()[:4] == ["all", "1", "100.0", "%"]
    assert following == "Next: korsal-convert export best.pt -o mine.onnx --start-scores out.json"


def test_no_score_below_the_least_is_chosen() -> None:
    words = "found.npz --data a.xml --rate 10 --choose out.json"
    assert events(words) == 0
    least = 0.0
    while chosen()["Run"] > least:  # until it is the highest that finds him
        least = chosen()["Run"]
        assert events(f"{words} --least {least:g}") == 0
        assert chosen()["Run"] >= least


def test_events_of_actions_that_the_data_does_not_annotate_are_neither_right_nor_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The model sees a Jump, AWAY, all the time that somebody runs; without --data it counts."""
    assert events("found.npz --data a.xml") == 0
    assert capsys.readouterr().out.splitlines()[3].split()[5:8] == ["1", "100.0", "%"]
    assert events("found.npz") == 0
    assert capsys.readouterr().out.splitlines()[2].split()[4] == "2"


@pytest.mark.parametrize(
    ("words", "following"),
    [
        ("--data a.xml", "detect MODEL --data a.xml --split validation -o validation.npz"),
        ("", "events validation.npz --data DATA --split validation --choose start_scores.json --quiet found.npz"),
        (
            "--rate 10",
            "events validation.npz --data DATA --split validation --choose start_scores.json --quiet found.npz "
            "--quiet-rate 10",
        ),
    ],
)
def test_what_comes_next(words: str, following: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert events(f"found.npz {words}") == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"Next: korsal-evaluate {following}"


@pytest.mark.parametrize(
    ("words", "labels", "loud"),
    [
        ("--rate 10", {"Run"}, False),
        ("--rate 1000", set(), False),  # 40 frames are too little then for an event
        ("--rate 10 --quiet loud.npz --quiet-rate 10", {"Run"}, True),  # at whatever score Run is recalled
        ("--rate 10 --quiet loud.npz --quiet-rate 1000", {"Run"}, False),
        ("--rate 10 --quiet loud.npz --quiet-rate 10 --quiet-shows Run", {"Run"}, False),
        ("--rate 10 --quiet loud.npz --quiet-rate 10 --quiet-shows Jump", {"Run"}, True),
    ],
)
def test_each_file_has_its_own_rate(
    words: str, labels: set[str], loud: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert events(f"found.npz --data a.xml --choose out.json {words}") == 0
    assert chosen().keys() == labels
    assert ("events in quiet videos: 1, for each" in capsys.readouterr().out) is loud


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("foreign.npz --data a.xml", "foreign.npz: of its 1 videos 1 are not in a.xml, test, b among them; give the"),
        ("found.npz --data a.xml --split train", "own data: its split train holds no video (test holds 1, validation"),
        (
            "walk.npz --data a.xml",
            "walk.npz: knows none of the actions of own data (Run), only Walk, Jump; give the --data whose actions",
        ),
        ("found.npz --quiet street.npz", "street.npz: is only used to choose start scores; give --choose"),
        ("found.npz --data a.xml --choose out.json --quiet other.npz", "other.npz: has other actions than found.npz"),
        ("found.npz --data a.xml --choose out.json --quiet street.npz --quiet-shows Fly", "Fly: the model knows Run"),
        ("found.npz --data a.xml --choose out.json --quiet-shows Run", "says of --quiet videos what they show; name"),
        ("found.npz --start-scores start.json", "start.json: has Fly, which found.npz has not; give start scores that"),
        ("found.npz --data a.xml --choose out.json --least 0.95", "0.9 is the highest score to choose; give less"),
        ("found.npz --choose out.json", "give the --data with the true actions"),
        ("found.npz --data a.xml --choose found.npz/out.json", "cannot be written"),
        ("found.npz --data a.xml --choose .", "is a folder; give --choose a file to write"),
        ("nothing.npz", "nothing.npz: names no action, so it has no events; detect again"),
        ("found.npz --data a.xml --choose out.json --quiet nowhere.npz", "nowhere.npz: names no video, so it has no"),
    ],
)
def test_conflicting_inputs_are_refused_with_a_remedy(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert events(words) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_it_says_which_videos_do_not_count(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data/annotations").mkdir(parents=True)
    Path("data/annotations/a.xml").write_text(CVAT)
    Path("data/annotations/b.xml").write_text(CVAT.replace("a.mp4", "b.mp4"))
    Path("data/testlist.txt").write_text("a\nb\n")
    Path("data/trainlist.txt").write_text("")
    assert events("found.npz --data data") == 0
    assert "found.npz lacks 1 of the 2 test videos, which do not count." in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    ["--start-score 0.3 --start-scores start.json", "--choose out.json --start-scores start.json", "--rate 0"],
)
def test_options_that_exclude_each_other(words: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        events(f"found.npz {words}")
