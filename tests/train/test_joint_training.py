"""Runs on two data sets at once, tiny: UCF101-24's layout, annotated with Basketball and Surfing, and J-HMDB's."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edge.motion_map import MotionSettings
from tests.support.stops import after, never
from tests.support.tiny_videos import write_data_set, write_hmdb
from train import checkpoint as checkpoints
from train import training_data
from train.checkpoint import CheckpointError
from train.datasets.annotation_records import AnnotationError
from train.train import learn, main, prepare
from train.train_settings import TrainSettings
from train.training_step import TrainingError

LABELS = ("Basketball", "Surfing", "walk")  # Surfing in both
BATCH, STEPS = 2, 12
COLUMNS = (
    "frame_map_50 UCF101-24 split 1,Basketball,Surfing UCF101-24 split 1,"
    "frame_map_50 J-HMDB-21 split 1,Surfing J-HMDB-21 split 1,walk"
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("data")
    return str(write_data_set(folder / "ucf")), str(write_hmdb(folder / "hmdb", ("Surfing", "walk")))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def settings(folders: tuple[str, str]) -> TrainSettings:
    return TrainSettings(
        data=folders,
        motion=MotionSettings("none"),
        height=64,
        width=64,
        samples=STEPS * BATCH,
        batch=BATCH,
        validate_every=12,
        precision="float32",
    )


@pytest.fixture(scope="module")
def uninterrupted(settings: TrainSettings, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted")
    learn(prepare(settings, out, cache, resume=False, workers=0), never)
    return out


def test_checkpoint_and_log_know_both_data_sets(uninterrupted: Path, folders: tuple[str, str]) -> None:
    best = checkpoints.load(uninterrupted / "best.pt")
    assert best.manifest.labels == LABELS
    assert best.manifest.training["data"] == "UCF101-24 split 1 + J-HMDB-21 split 1"
    assert best.settings["data"] == folders
    header, *rows = (uninterrupted / "log.csv").read_text().splitlines()
    assert header == f"samples,learning_rate,heatmap_loss,size_loss,offset_loss,frame_map_50,{COLUMNS}"
    assert [int(row.split(",")[0]) for row in rows] == [12, 24]
    mean, one, *_ = values = [float(cell) for cell in rows[-1].split(",")[5:]]
    assert mean == pytest.approx((one + values[4]) / 2, abs=0.01)
    assert not np.isnan(values).any()
    assert best.manifest.training["validation_frame_map_50"] == max(float(row.split(",")[5]) for row in rows)


def test_all_actions_of_both_as_one_class(settings: TrainSettings, cache: Path, tmp_path: Path) -> None:
    """Saved with the run, so that it is resumed with it alone."""
    one = replace(settings, one_class="person", samples=2 * BATCH, validate_every=2 * BATCH)
    learn(prepare(one, tmp_path, cache, resume=False, workers=0), never)
    best = checkpoints.load(tmp_path / "best.pt")
    assert (best.manifest.labels, best.settings["one_class"]) == (("person",), "person")
    with pytest.raises(CheckpointError, match="--resume with another one_class"):
        prepare(replace(one, one_class=""), tmp_path, cache, resume=True, workers=0)


def test_samples_of_each_data_set_mask_the_other_ones_labels(
    settings: TrainSettings, cache: Path, tmp_path: Path
) -> None:
    samples = prepare(settings, tmp_path, cache, resume=False, workers=0).samples
    masks = {}
    for number in range(len(samples)):
        video = samples.choose(np.random.default_rng((samples.seed, number))).video
        masks[video.name.partition("/")[2].partition("_")[0]] = samples[number]["annotated"].tolist()
    assert masks == {"v": [1, 1, 0], "Surfing": [0, 1, 1], "walk": [0, 1, 1]}


def test_a_run_says_what_it_trains_on(
    settings: TrainSettings, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(replace(settings, shares=(1.0, 3.0)), tmp_path, cache, resume=False, workers=0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].endswith("3 actions; 12 videos to learn from, 4 to validate on")
    assert lines[3:] == [
        "Surfing: annotated in UCF101-24 split 1 and in J-HMDB-21 split 1, and taken for one action",
        "UCF101-24 split 1: 2 actions, 4 videos to learn from, 2 to validate on; 25% of the samples",
        "J-HMDB-21 split 1: 2 actions, 8 videos to learn from, 2 to validate on; 75% of the samples",
    ]


def test_a_run_tells_of_videos_that_are_validated_on_and_learned_from(
    settings: TrainSettings, folders: tuple[str, str], tmp_path: Path
) -> None:
    """The same videos under another name, with a list that holds out one that the other learns from."""
    copy = Path(shutil.copytree(folders[0], tmp_path / "copy"))
    (copy / "validationlist.txt").write_text("Basketball/v_Basketball_g08_c01\n")
    both = replace(settings, data=(folders[0], str(copy)))
    told = [note for note in training_data.load(both).notes if "validated on" in note]
    assert len(told) == 2
    assert told[0].startswith(
        "Basketball/v_Basketball_g23_c01 and 1 more: learned from in UCF101-24 split 1 (copy) and"
    )
    assert told[1].startswith("Basketball/v_Basketball_g08_c01: learned from in UCF101-24 split 1 (ucf) and")
    assert told[1].endswith("that scores too high; hold it out in both, by validationlist.txt")
    assert not [note for note in training_data.load(replace(both, all_groups=True)).notes if "validated on" in note]


def test_a_resumed_run_continues_exactly(
    settings: TrainSettings, cache: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    learn(prepare(settings, tmp_path, cache, resume=False, workers=0), after(7))
    learn(prepare(settings, tmp_path, cache, resume=True, workers=0), never)
    assert (tmp_path / "log.csv").read_text() == (uninterrupted / "log.csv").read_text()
    ours, theirs = (checkpoints.load(folder / "last.pt") for folder in (tmp_path, uninterrupted))
    assert all(torch.equal(ours.weights[name], theirs.weights[name]) for name in theirs.weights)


def test_resume_refuses_other_data_sets(settings: TrainSettings, cache: Path, uninterrupted: Path) -> None:
    with pytest.raises(CheckpointError, match="another data than before; leave these options out"):
        prepare(replace(settings, data=settings.data[::-1]), uninterrupted, cache, resume=True, workers=0)


@pytest.mark.parametrize("labels", [LABELS[::-1], ("Basketball", "Ski", "walk")])
def test_resume_refuses_data_whose_actions_are_others_now(
    labels: tuple[str, ...], settings: TrainSettings, cache: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    """As many, so that its weights fit: each channel would learn on as another action."""
    saved = checkpoints.load(uninterrupted / "last.pt")
    checkpoints.save(replace(saved, manifest=replace(saved.manifest, labels=labels)), tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"last\.pt: its actions are .*, and those of the data Basketball, Surf"):
        prepare(settings, tmp_path, cache, resume=True, workers=0)


def test_a_run_of_one_data_set_saved_by_an_earlier_version_is_resumed(
    settings: TrainSettings, cache: Path, tmp_path: Path
) -> None:
    alone = replace(settings, data=settings.data[:1])
    learn(prepare(alone, tmp_path, cache, resume=False, workers=0), after(3))
    saved = checkpoints.load(tmp_path / "last.pt")
    earlier = {**asdict(alone), "data": alone.data[0], "fold": 1, "precision": "float32"}
    del earlier["shares"]
    checkpoints.save(replace(saved, settings=earlier), tmp_path / "last.pt")
    assert prepare(alone, tmp_path, cache, resume=True, workers=0).run.samples == 3 * BATCH


def test_weights_of_one_data_set_begin_a_run_on_both(
    settings: TrainSettings, cache: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    learn(prepare(replace(settings, data=settings.data[1:]), tmp_path / "one", cache, False, 0), after(2))
    begun = replace(settings, weights=str(tmp_path / "one" / "last.pt"))
    network = prepare(begun, tmp_path / "both", cache, resume=False, workers=0).run.average.state_dict()
    before = checkpoints.load(tmp_path / "one" / "last.pt").weights
    assert torch.equal(network["heatmap.3.bias"][1:], before["heatmap.3.bias"])  # Surfing, walk
    assert torch.equal(network["heatmap.0.weight"], before["heatmap.0.weight"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("A", "A"), "is given twice; give each data set once"),
        (("A", "B", "--fold", "1,2,3"), "--fold 1,2,3: give one number for each data set, 2 in all"),
        (("A", "B", "--fold", "1,4"), "J-HMDB-21 has splits 1 to 3, not 4"),
        (("A", "B", "--share", "1"), "--share 1: give one number for each data set, 2 in all"),
        (("A", "B", "--share", "1,0"), "--share: give numbers above 0"),
        (("A", "B", "--share", "1,x"), "--share: give numbers above 0"),
    ],
)
def test_mistakes_are_one_sentence(
    words: tuple[str, ...],
    sentence: str,
    folders: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [{"A": folders[0], "B": folders[1]}.get(word, word) for word in words]
    assert main([*given, "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache")]) == 1
    output = capsys.readouterr().err.strip()
    assert output.startswith("korsal-train: ")
    assert sentence in output
    assert "\n" not in output


def test_missing_videos_are_counted_before_anything_is_decoded(
    settings: TrainSettings, folders: tuple[str, str], tmp_path: Path
) -> None:
    hmdb = write_hmdb(tmp_path / "hmdb", ("wave",))
    for video in sorted(hmdb.rglob("*.avi"))[:2]:
        video.unlink()
    both = replace(settings, data=(folders[0], str(hmdb)))
    with pytest.raises(TrainingError, match=r"no such file.*\(2 of the 5 training videos of J-HMDB-21"):
        prepare(both, tmp_path / "run", tmp_path / "cache", resume=False, workers=0)
    assert not (tmp_path / "cache").exists()


def test_a_data_set_of_quiet_videos_alone_adds_negatives(
    settings: TrainSettings, folders: tuple[str, str], cache: Path, tmp_path: Path
) -> None:
    street = tmp_path / "street"
    (street / "videos").mkdir(parents=True)
    clip = next(Path(folders[0]).rglob("*.avi"))
    (street / "videos" / "street.avi").write_bytes(clip.read_bytes())
    for name in ("quietlist.txt", "trainlist.txt", "testlist.txt"):
        (street / name).write_text("street\n" if name != "testlist.txt" else "")
    session = prepare(replace(settings, data=(folders[1], str(street))), tmp_path / "run", cache, False, 0)
    quiet = [video for group in session.samples.choose.groups for video in group if not video.tubes]
    assert [(video.name, video.annotated_labels) for video in quiet] == [("street", None)]
    assert [part.title for part in session.validation] == ["J-HMDB-21 split 1"]
    with pytest.raises(TrainingError, match="own data: names no action; annotate one, or add a data set"):
        prepare(replace(settings, data=(str(street),)), tmp_path / "alone", cache, False, 0)


def test_labels_that_are_nearly_equal_are_refused(
    settings: TrainSettings, folders: tuple[str, str], tmp_path: Path
) -> None:
    other = write_hmdb(tmp_path / "hmdb", ("surfing",))
    with pytest.raises(AnnotationError, match="'Surfing' and 'surfing' differ in capitals"):
        prepare(replace(settings, data=(folders[0], str(other))), tmp_path / "run", tmp_path, False, 0)
