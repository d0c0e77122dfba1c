"""Whole training runs, tiny: two actions, six videos, 64 × 64 pixels."""

import itertools
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edge.motion_map import MotionSettings
from tests.support.full_disk import full_disk
from tests.support.paths import ROOT
from tests.support.stops import after, never
from tests.support.tiny_videos import LABELS, write_data_set
from tests.support.waiting import PATIENCE
from train import checkpoint as checkpoints
from train import starting_weights, training_step
from train.checkpoint import CheckpointError
from train.datasets import loader
from train.datasets.packed_video import open_packed, packed_path
from train.log import EVERY, LogError
from train.train import due, learn, main, prepare
from train.train_settings import TrainSettings
from train.training_step import TrainingError

BATCH = 2
STEPS = 27  # one row of EVERY steps, and a rest


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Another file's tests may have asked torch for more, which only wait for each other on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def settings(data: Path) -> TrainSettings:
    return TrainSettings(
        data=(str(data),),
        motion=MotionSettings("previous"),
        height=64,
        width=64,
        samples=STEPS * BATCH + 1,  # one sample too few for another batch
        batch=BATCH,
        validate_every=20,
        precision="float32",  # what "auto" chooses may differ from one run to the next
    )


@pytest.fixture(scope="module")
def uninterrupted(settings: TrainSettings, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted")
    learn(prepare(settings, out, cache, resume=False, workers=0), never)
    return out


def test_a_run_leaves_log_curves_and_checkpoints(uninterrupted: Path, settings: TrainSettings) -> None:
    assert sorted(p.name for p in uninterrupted.iterdir()) == ["best.pt", "curves.png", "last.pt", "log.csv"]
    header, *rows = (uninterrupted / "log.csv").read_text().splitlines()
    assert header == "samples,learning_rate,heatmap_loss,size_loss,offset_loss,frame_map_50,Basketball,Surfing"
    # validated when 20 and 40 samples are passed and at the end; the row of EVERY steps comes before a validation
    assert [int(row.split(",")[0]) for row in rows] == [20, 40, 40, 54]
    assert EVERY * BATCH == 40
    last = checkpoints.load(uninterrupted / "last.pt")
    assert last.manifest.labels == LABELS
    assert last.manifest.training["samples_seen"] == 54
    assert last.settings["validate_every"] == 20
    assert checkpoints.load(uninterrupted / "best.pt").progress == {}
    assert checkpoints.engine(checkpoints.load(uninterrupted / "best.pt")).manifest.channels == 6


@pytest.mark.parametrize("steps", [13, 20])
def test_a_resumed_run_continues_exactly(
    steps: int, settings: TrainSettings, cache: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    learn(prepare(settings, tmp_path, cache, resume=False, workers=0), after(steps))
    assert checkpoints.load(tmp_path / "last.pt").manifest.training["samples_seen"] == steps * BATCH
    learn(prepare(settings, tmp_path, cache, resume=True, workers=0), never)
    assert (tmp_path / "log.csv").read_text() == (uninterrupted / "log.csv").read_text()
    ours, theirs = (checkpoints.load(folder / "last.pt") for folder in (tmp_path, uninterrupted))
    assert all(torch.equal(ours.weights[name], theirs.weights[name]) for name in theirs.weights)
    assert ours.progress["best"] == theirs.progress["best"]


def test_a_disk_that_fills_in_the_middle_costs_what_came_after_the_last_checkpoint(
    settings: TrainSettings, cache: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    """The run ends with one sentence; when there is space again it goes on, and comes to what it would have come to."""
    learn(prepare(settings, tmp_path, cache, resume=False, workers=0), after(13))
    kept = (tmp_path / "last.pt").read_bytes()
    session = prepare(settings, tmp_path, cache, resume=True, workers=0)
    with (
        full_disk(100_000),
        pytest.raises(CheckpointError, match=r"\.pt: cannot be written \(File too large\); free space"),
    ):
        learn(session, never)
    assert (tmp_path / "last.pt").read_bytes() == kept
    learn(prepare(settings, tmp_path, cache, resume=True, workers=0), never)
    ours, theirs = (checkpoints.load(folder / "last.pt") for folder in (tmp_path, uninterrupted))
    assert all(torch.equal(ours.weights[name], theirs.weights[name]) for name in theirs.weights)


def test_a_best_that_cannot_be_written_is_written_when_the_run_goes_on(
    settings: TrainSettings, cache: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    """last.pt never knows of a best score whose weights are not there."""
    learn(prepare(settings, tmp_path, cache, resume=False, workers=0), after(5))
    session = prepare(settings, tmp_path, cache, resume=True, workers=0)
    (tmp_path / "best.pt").mkdir()
    with pytest.raises(CheckpointError, match=r"best\.pt: cannot be written"):
        learn(session, never)
    (tmp_path / "best.pt").rmdir()
    learn(prepare(settings, tmp_path, cache, resume=True, workers=0), never)
    ours, theirs = (checkpoints.load(folder / "best.pt") for folder in (tmp_path, uninterrupted))
    assert ours.manifest.training == theirs.manifest.training


def test_resuming_what_is_complete_changes_nothing(
    settings: TrainSettings, cache: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(uninterrupted, tmp_path / "run")
    learn(prepare(settings, out, cache, resume=True, workers=0), never)
    assert (out / "log.csv").read_text() == (uninterrupted / "log.csv").read_text()


def test_resume_refuses_other_settings(settings: TrainSettings, cache: Path, uninterrupted: Path) -> None:
    with pytest.raises(CheckpointError, match="another batch, seed than before; leave these options out"):
        prepare(replace(settings, batch=4, seed=5), uninterrupted, cache, resume=True, workers=0)


def test_the_last_lines_name_the_model_its_accuracy_and_the_next_steps(
    settings: TrainSettings, cache: Path, uninterrupted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a run that is complete, which goes on for no step more."""
    out = shutil.copytree(uninterrupted, tmp_path / "run")
    whole = ["--samples", str(settings.samples)]
    last = checkpoints.load(out / "last.pt")
    checkpoints.save(replace(last, progress={**last.progress, "best": 41.25}), out / "last.pt")
    assert main([*settings.data, "--out", str(out), "--cache", str(cache), "--workers", "0", "--resume", *whole]) == 0
    *_, made, following = capsys.readouterr().out.splitlines()
    # all 12 frames of each of 2 videos
    assert made.startswith(f"{out}/best.pt (")
    assert made.endswith(
        "MB): frame-mAP@0.5 41.2 % on 24 frames of videos it never learned from; 54 of 55 samples seen"
    )
    assert following == f"Next: korsal-convert export {out}/best.pt -o {out}/best.onnx"


def test_a_run_can_be_resumed_in_another_precision(
    settings: TrainSettings, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on another machine; a checkpoint says what it was trained in, never "auto"."""
    learn(prepare(replace(settings, precision="bfloat16"), tmp_path, cache, resume=False, workers=0), after(2))
    assert checkpoints.load(tmp_path / "last.pt").settings["precision"] == "bfloat16"
    session = prepare(settings, tmp_path, cache, resume=True, workers=0)
    assert session.run.precision == "float32"
    output = capsys.readouterr().out.splitlines()
    assert [line for line in output if line.startswith("precision")] == [
        "precision: bfloat16 (as --precision asks)",
        "precision: float32 (as --precision asks, in bfloat16 until here)",
    ]
    learn(session, after(1))
    assert checkpoints.load(tmp_path / "last.pt").settings["precision"] == "float32"
    assert prepare(replace(settings, precision="auto"), tmp_path, cache, True, 0).run.precision == "float32"


def test_data_and_weights_may_be_spelt_another_way(
    settings: TrainSettings, cache: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the weights that a run began with may be gone when it is resumed."""
    weights = tmp_path / "begin.pt"
    shutil.copy(uninterrupted / "best.pt", weights)
    begun, out = replace(settings, weights=str(weights)), tmp_path / "run"
    learn(prepare(begun, out, cache, resume=False, workers=0), after(20))
    weights.unlink()
    monkeypatch.chdir(Path(settings.data[0]).parent)
    other = replace(begun, data=(Path(settings.data[0]).name + "/",), weights=os.path.relpath(weights))
    assert prepare(other, out, cache, resume=True, workers=0).run.samples == 20 * BATCH


def test_a_second_run_does_not_wipe_the_first(settings: TrainSettings, cache: Path, uninterrupted: Path) -> None:
    before = {path: path.read_bytes() for path in uninterrupted.iterdir()}
    with pytest.raises(TrainingError, match="already holds a run; --resume continues it, another --out starts"):
        prepare(settings, uninterrupted, cache, resume=False, workers=0)
    assert {path: path.read_bytes() for path in uninterrupted.iterdir()} == before


def test_resume_needs_progress(settings: TrainSettings, cache: Path, uninterrupted: Path, tmp_path: Path) -> None:
    shutil.copy(uninterrupted / "best.pt", tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="holds no progress; start a new run without --resume"):
        prepare(settings, tmp_path, cache, resume=True, workers=0)


def test_a_run_ends_where_its_score_no_longer_rises(
    settings: TrainSettings, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing can be learned at such a rate: the first of the validations, after 20, 40 and 54 samples, is the best."""
    patient = replace(settings, learning_rate=1e-12, patience=1)
    learn(prepare(patient, tmp_path, cache, resume=False, workers=0), never)
    assert checkpoints.load(tmp_path / "last.pt").progress["samples"] == 40
    rest = ["--out", str(tmp_path), "--cache", str(cache), "--workers", "0", "--resume"]
    log = (tmp_path / "log.csv").read_text()
    assert main([*settings.data, *rest]) == 0
    assert "40 of 55 samples seen, the last 1 validations were no better" in capsys.readouterr().out
    assert (tmp_path / "log.csv").read_text() == log


def test_a_run_that_begins_with_an_onnx_answers_as_that(
    settings: TrainSettings, untrained: Path, cache: Path, tmp_path: Path
) -> None:
    """Before its first step, and by the statistics of its own frames; only the layer that names actions is new."""
    begin = starting_weights.load(untrained)
    size = {"motion": begin.manifest.motion, "height": begin.manifest.height, "width": begin.manifest.width}
    begun = replace(settings, weights=str(untrained), **size)  # type: ignore[arg-type]
    session = prepare(begun, tmp_path, cache, resume=False, workers=0)
    image = torch.from_numpy(session.samples[0]["image"])[None]
    networks = [checkpoints.detector(begin), training_step.unwrapped(session.run.network), session.run.average]
    with torch.no_grad():
        theirs, *ours = [network.eval()(image).size for network in networks]
    assert all(torch.allclose(one, theirs, rtol=1e-3) for one in ours)
    norms = [module for module in session.run.average.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert not any(bool((norm.running_mean == 0).all()) for norm in norms if norm.running_mean is not None)
    learn(session, after(1))


def test_with_all_groups_nothing_is_held_out(settings: TrainSettings, cache: Path, tmp_path: Path) -> None:
    session = prepare(replace(settings, all_groups=True), tmp_path, cache, resume=False, workers=0)
    assert {v.name for group in session.samples.choose.groups for v in group} == set(session.samples.packed)
    learn(session, never)
    best, last = (checkpoints.load(tmp_path / name) for name in ("best.pt", "last.pt"))
    assert all(torch.equal(best.weights[name], last.weights[name]) for name in last.weights)
    assert "validation_frame_map_50" not in best.manifest.training
    assert all(line.endswith(",,,") for line in (tmp_path / "log.csv").read_text().splitlines()[1:])


def test_without_validation_groups_nothing_begins(settings: TrainSettings, tmp_path: Path) -> None:
    folder = write_data_set(tmp_path / "data", groups=(8,))
    with pytest.raises(TrainingError, match="leaves no video for validation"):
        prepare(replace(settings, data=(str(folder),)), tmp_path / "run", tmp_path / "cache", resume=False, workers=0)


@pytest.mark.parametrize(
    ("samples", "count", "is_due"),
    [  # a batch of 2, validation every 20 samples, 55 in all
        (2, 1, False),
        (18, 1, False),
        (20, 1, True),
        (22, 1, False),
        (40, 1, True),
        (52, 1, False),
        (54, 1, True),  # the last: 56 would be too many
        (18, 3, False),  # steps of 6
        (24, 3, True),  # 20 was passed
        (54, 3, True),
    ],
)
def test_due(samples: int, count: int, is_due: bool, settings: TrainSettings) -> None:
    assert due(samples, settings, count) is is_due


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["/nowhere"], "/nowhere: no such folder"),
        (["DATA", "--height", "100"], "--height 100 is no multiple of 32: give 96 or 128"),
        (["DATA", "--gap", "0"], "the previous frame lies at least 1 frame back"),
        (["DATA", "--workers", "-1"], "--workers -1: give 0 or more"),
        (["DATA", "--resume"], "last.pt: no such file"),
    ],
)
def test_bad_options_give_a_one_sentence_error(
    options: list[str], sentence: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(data) if option == "DATA" else option for option in options]
    assert main([*given, "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache")]) == 1
    output = capsys.readouterr().err.strip()
    assert output.startswith("korsal-train: ")
    assert sentence in output
    assert "\n" not in output


@pytest.mark.parametrize(
    ("changed", "out", "sentence"),
    [
        ({"motion": MotionSettings("previous", gap=3)}, "run", "was trained with motion .* leave that option out"),
        ({"seed": 5, "weights": ""}, "uninterrupted", "--resume with another seed than before"),
        ({}, "log.csv/run", r"log\.csv: cannot be written"),
    ],
)
def test_what_cannot_be_is_refused_before_a_video_is_decoded(
    changed: dict[str, object], out: str, sentence: str, settings: TrainSettings, uninterrupted: Path, tmp_path: Path
) -> None:
    begun = replace(settings, **{"weights": str(uninterrupted / "best.pt"), **changed})  # type: ignore[arg-type]
    (tmp_path / "log.csv").touch()
    folder = uninterrupted if out == "uninterrupted" else tmp_path / out
    with pytest.raises((CheckpointError, LogError), match=sentence):
        prepare(begun, folder, tmp_path / "cache", resume=folder == uninterrupted, workers=0)
    assert not (tmp_path / "cache").exists()


def test_what_draws_curves_is_missed_at_once(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # Python takes it for missing
    assert main([str(data), "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache")]) == 1
    assert "matplotlib is not installed: pip install 'korsal-edge[evaluate]'\n" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_cache_is_reported_with_the_remedy(
    settings: TrainSettings, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*settings.data, "--out", str(tmp_path / "run"), "--cache", str(tmp_path), "--samples", "0"]
    assert main(arguments) == 1
    assert "--samples 0: one step takes 16, give at least that" in capsys.readouterr().err
    name = "Basketball/v_Basketball_g08_c01"
    packed = packed_path(name, data / "videos" / f"{name}.avi", tmp_path)
    packed.parent.mkdir()
    packed.write_bytes(b"cut short")
    assert main([*arguments[:-1], "16"]) == 1
    assert f"{packed}: is damaged or cut short; delete the file" in capsys.readouterr().err


def test_a_failure_in_a_worker_is_one_sentence(
    settings: TrainSettings, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Zeros in the place of all but the first frame: the table is right, the frames are not."""
    data = loader.load(Path(settings.data[0]), 1)
    open_packed([(video.name, data.video(video.name)) for video in data.train], cache)
    damaged = shutil.copytree(cache, tmp_path / "cache")
    for path in damaged.rglob("*.frames"):
        content = path.read_bytes()
        table = 8 * (int.from_bytes(content[:8], "little") + 2)
        second = table + int.from_bytes(content[16:24], "little")
        path.write_bytes(content[:second] + bytes(len(content) - second))
    arguments = [*settings.data, "--out", str(tmp_path / "run"), "--cache", str(damaged), "--motion", "none"]
    others = set(multiprocessing.active_children())
    assert main([*arguments, "--height", "64", "--width", "64", "--batch", "4", "--samples", "8"]) == 1
    output = capsys.readouterr().err.strip().splitlines()[-1]
    assert output.startswith("korsal-train: ")
    assert output.endswith("is damaged; delete the file, it is created again")
    assert set(multiprocessing.active_children()) <= others


def test_a_run_that_is_cut_off_loses_ten_minutes_at_most(
    settings: TrainSettings, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off in the fifth step; nothing is due for validation by then."""

    def cut_off() -> bool:
        if next(steps) == 5:
            raise KeyboardInterrupt
        return False

    kept = []
    for seconds in (600.0, 0.0):
        steps = itertools.count(1)
        monkeypatch.setattr("train.train.KEEP_EVERY_S", seconds)
        out = tmp_path / str(seconds)
        with pytest.raises(KeyboardInterrupt):
            learn(prepare(settings, out, cache, resume=False, workers=0), cut_off)
        kept.append(checkpoints.load(out / "last.pt").progress["samples"] if (out / "last.pt").exists() else None)
    assert kept == [None, 4 * BATCH]


def command(settings: TrainSettings, cache: Path, out: Path, *more: str) -> list[str]:
    options = ["--cache", str(cache), "--out", str(out), "--motion", "none", "--height", "64", "--width", "64"]
    return ["-m", "train.train", *settings.data, *options, "--batch", str(BATCH), *more]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends(number: signal.Signals, settings: TrainSettings, cache: Path, tmp_path: Path) -> None:
    """To the whole group, as `systemctl stop` and `timeout` send it: to the process that prepares samples too."""
    arguments = command(settings, cache, tmp_path, "--samples", "100000", "--workers", "1")
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            log = tmp_path / "log.csv"
            wait_for(lambda: log.exists() and len(log.read_text().splitlines()) > 1, process)
            os.killpg(process.pid, number)
            output = process.communicate(timeout=PATIENCE)[1].strip()
        finally:
            process.kill()
    assert process.returncode == 128 + number
    assert output.splitlines()[-1].endswith("continue with --resume")
    assert "Traceback" not in output
    assert checkpoints.load(tmp_path / "last.pt").progress["samples"] >= EVERY * BATCH


@pytest.mark.slow
def test_two_processes_train_together(settings: TrainSettings, cache: Path, tmp_path: Path) -> None:
    """gloo on the CPU; 45 samples are 11 steps of 2 × 2, and one sample is left."""
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ("--samples", "45", "--validate-every", "24", "--workers", "0")
    result = subprocess.run(
        [sys.executable, *start, *command(settings, cache, tmp_path, *options)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    rows = (tmp_path / "log.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == [24, 44]
    assert checkpoints.load(tmp_path / "last.pt").progress["samples"] == 44
