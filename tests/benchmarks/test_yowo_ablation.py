"""The experiments on `yowo_lite`: a run of them whole in small, what is not done twice, and what the tables say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import yowo_ablation, yowo_runs, yowo_tables
from benchmarks.yowo_ablation import Plan, jobs
from benchmarks.yowo_ensemble import mixed
from benchmarks.yowo_runs import ABLATION, CLIPS, LITE, LITE_MEMORY, PLAIN, RULES, WHOLE, Budget, words_of
from edge.config.config_file import SHIPPED_MODEL
from edge.shipped_files import asset_path
from tests.support.tiny_videos import write_data_set
from tests.support.untrained_movinet import write_untrained_movinet
from train import checkpoint as checkpoints
from train import train_options
from train.evaluation.detection_file import SavedDetections

torch.set_num_threads(1)


def budget(folder: Path, samples: int = 4) -> Budget:
    places = (folder / "data", folder / "out", folder / "cache", folder / "movinet.pt")
    return Budget(*places, samples=samples, height=64, width=96, batch=4, workers=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data` with a video of each action to test on, and `movinet.pt`."""
    folder = tmp_path_factory.mktemp("ablation")
    data = write_data_set(folder / "data", (1, 8, 9, 23))
    names = (data / "trainlist.txt").read_text().split()
    for file, tested in (("trainlist.txt", False), ("testlist.txt", True)):
        (data / file).write_text("".join(f"{name}\n" for name in names if ("_g01" in name) is tested))
    write_untrained_movinet(folder / "movinet.pt")
    return folder


def words(folder: Path, *more: str) -> list[str]:
    places = ["--out", str(folder / "out"), "--cache", str(folder / "cache"), "--memory", str(folder / "movinet.pt")]
    size = ["--height", "64", "--width", "96", "--samples", "4", "--batch", "4"]
    return [str(folder / "data"), *places, *size, *more]


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out" / "results.jsonl").read_text().splitlines()]


def test_a_run_is_kept_and_not_made_again(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = words(folder, "--seeds", "3", "--only", "whole")
    yowo_ablation.main(given)
    assert "| + squeeze-and-excitation: `yowo_lite` |" in capsys.readouterr().out
    (line,) = lines(folder)
    assert line["of"] == {"run": "whole", "seed": 3, "samples": 4}
    assert [at for at, _ in line["curve"]] == [4]
    made = folder / "out" / "whole-seed3"
    assert checkpoints.load(made / "best.pt").manifest.memory is not None
    assert not (made / "last.pt").exists()
    monkeypatch.setattr(yowo_runs, "train", None)  # would fail if it were called
    yowo_ablation.main(given)
    assert len(lines(folder)) == 1


def test_what_was_interrupted_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what was not: a stopped training has no result."""
    half = budget(folder)
    monkeypatch.setattr(yowo_runs, "train", lambda words: 143)
    with pytest.raises(SystemExit, match="the same command goes on"):
        yowo_runs.trained(LITE, 1, half)
    assert "--resume" not in words_of(LITE, 1, half)
    (half.out / "lite-seed1").mkdir(parents=True)
    (half.out / "lite-seed1" / "last.pt").touch()
    assert "--resume" in words_of(LITE, 1, half)


@pytest.mark.slow
def test_all_of_them_in_small(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for trainings that are like others. Networks of one step find nothing; every job ends and is kept."""
    for name, value in (("ABLATION", (WHOLE,)), ("RULES", (PLAIN,)), ("BESIDE", (CLIPS, LITE_MEMORY)), ("ROUNDS", 1)):
        monkeypatch.setattr(yowo_ablation, name, value)
    beside = asset_path(SHIPPED_MODEL)
    given = words(folder, "--seeds", "3", "--beside", str(beside), "--other-data", str(folder / "data"))
    yowo_ablation.main(given)
    told = capsys.readouterr().out
    for head in ("trained with", "a map every … frames", "on the test videos", "on the validation videos"):
        assert f"\n| {head}" in told or told.startswith(f"| {head}")
    found = {json.dumps(line["of"]) for line in lines(folder)}
    assert {json.dumps(job.of) for job in jobs(Plan(budget(folder), (3,), beside, folder / "data", 1))} <= found


def test_runs_differ_by_one_part_but_the_last_which_joins_what_learns_fastest(tmp_path: Path) -> None:
    """As korsal-train understands their options."""
    found = []
    for run in (*ABLATION, *RULES):
        options = train_options.parser().parse_args([*words_of(run, 1, budget(tmp_path))])
        clips = train_options.settings(options).clips
        found.append((clips.anywhere, clips.scales, clips.drop_block, clips.squeeze, clips.loss, clips.matching))
    whole = (True, 3, 0.1, True, "focal", "yowo")
    assert found == [
        (False, 1, 0.0, False, "focal", "yowo"),
        (True, 1, 0.0, False, "focal", "yowo"),
        (True, 3, 0.0, False, "focal", "yowo"),
        (True, 3, 0.1, False, "focal", "yowo"),
        whole,
        (*whole[:4], "cross_entropy", "yowo"),
        (*whole[:5], "yolov3"),
        (True, 3, 0.0, False, "cross_entropy", "yowo"),
    ]


def test_results_are_of_different_things(tmp_path: Path) -> None:
    made = [*jobs(Plan(budget(tmp_path), (1, 2), tmp_path, tmp_path, 1))]
    assert len({json.dumps(job.of) for job in made}) == len(made)
    with pytest.raises(SystemExit, match="--only nothing: there are clips, "):
        yowo_ablation.main(words(tmp_path, "--only", "nothing"))


def test_tables_of_results() -> None:
    curves = {"curve": [[10, 20.0], [20, 30.0]], "ms_a_sample": 100.0}
    found: list[dict[str, Any]] = [
        {"of": {"run": "whole", "seed": seed, "samples": 20}, "frame_map": score, **curves}
        for seed, score in ((1, 30.0), (2, 32.0))
    ]
    found.append({"of": {"every": 2}, "frame_map": 25.0})
    found.append({"of": {"speed": "every"}, "2": {"ms": 50.0, "of_first": 0.5}})
    matrix = [[5, 3, 2], [0, 8, 0], [1, 1, 0]]
    found.append({"of": {"mistakes": "other"}, "labels": ["sit", "stand"], "confusion": matrix})
    told = yowo_tables.tables(found)
    assert "| + squeeze-and-excitation: `yowo_lite` | 30.0, 32.0 | 31.0 | 100 |" in told
    assert "| + squeeze-and-excitation: `yowo_lite` | 20.0 | 30.0 |" in told
    assert "| 2 | 25.0 | 50.0 | 20 | 0.50 |" in told
    assert "| mistakes other | sit | stand | 30 % | 3 |" in told
    assert "| mistakes other | stand | sit | 0 % | 0 |" in told
    assert yowo_tables.tables([]) == ""
    assert WHOLE.title in told


def detections(rows: list[tuple[int, float, list[float], int]]) -> SavedDetections:
    """Rows of frame, left edge of a box of 10 pixels, scores of both actions, and label."""
    boxes = np.array([[left, 0, left + 10, 10] for _, left, _, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([scores for _, _, scores, _ in rows], np.float32).reshape(-1, 2)
    labels = np.array([label for *_, label in rows], np.int64)
    of = (np.zeros(len(rows), np.int64), np.array([frame for frame, *_ in rows], np.int64), boxes)
    counts, sizes = np.array([3]), np.array([[100, 100]])
    return SavedDetections(("v",), ("a", "b"), counts, sizes, *of, scores[range(len(rows)), labels], labels, scores)


def test_mixed_detections() -> None:
    one = detections([(0, 0, [0.8, 0.2], 0), (1, 0, [0.6, 0.1], 0)])
    other = detections([(0, 2, [0.4, 0.4], 0), (0, 2, [0.4, 0.4], 1), (2, 50, [0.1, 0.9], 1)])
    both = mixed(one, other)
    assert both.frames.tolist() == [0, 0, 1, 2]
    np.testing.assert_allclose(both.scores, [0.6, 0.2, 0.3, 0.45])
    np.testing.assert_allclose(both.boxes[0], [2 / 3, 0, 10 + 2 / 3, 10], atol=1e-5)
    assert both.labels.tolist() == [0, 1, 0, 1]
    assert both.class_scores is not None
    np.testing.assert_allclose(both.class_scores[0], [0.6, 0.3])
    assert len(mixed(detections([]), detections([])).scores) == 0


def test_detections_of_other_actions_are_not_mixed() -> None:
    one = detections([])
    with pytest.raises(ValueError, match="of other videos or actions"):
        mixed(one, SavedDetections(("w",), *[getattr(one, name) for name in list(vars(one))[1:]]))
