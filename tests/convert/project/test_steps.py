"""Which commands a run gives, with which options."""

from dataclasses import replace
from pathlib import Path

import pytest

from convert.commands import command_line
from convert.project import run, steps
from convert.project.steps import RunPlan
from train import classifier, second_look, train_options

PLAN = RunPlan(
    Path("mine"), Path("mine/runs/001"), "my actions", "start.onnx", (Path("a.mp4"), Path("b.mp4")), (Path("q.mp4"),)
)


def names(plan: RunPlan) -> list[str]:
    return [step.name for step in steps.steps(plan)]


def words(plan: RunPlan, name: str) -> list[str]:
    return next(list(step.words) for step in steps.steps(plan) if step.name == name)


def test_all_steps() -> None:
    assert names(PLAN) == ["train", "export", "detect", "quiet", "choose", "score", "finish", "int8", "int8-cpu"]
    assert "quiet" not in names(replace(PLAN, quiet=()))
    assert PLAN.model == Path("mine/runs/001/my-actions.onnx")


def test_of_a_memory_a_classifier_is_learnt_anew_and_exported() -> None:
    plan = replace(PLAN, remembers=True)
    assert names(plan)[:3] == ["train", "classifier", "export"]
    assert words(plan, "classifier")[1] == words(plan, "train")[words(plan, "train").index("--out") + 1] + "/best.pt"
    for name in ("export", "finish"):
        assert words(plan, name)[1] == words(plan, "classifier")[3] == str(plan.trained)
        assert words(PLAN, name)[1] == str(PLAN.trained) == "mine/runs/001/train/best.pt"
    assert words(plan, "classifier")[5] == words(plan, "train")[words(plan, "train").index("--cache") + 1]


@pytest.mark.parametrize("remembers", [False, True])
def test_a_second_look_is_learnt_last_and_exported(remembers: bool) -> None:
    plan = replace(PLAN, remembers=remembers, looks=True, samples=7)
    before = "classifier" if remembers else "train"
    assert names(plan)[: 3 + remembers] == ["train", *(["classifier"] if remembers else []), "second look", "export"]
    made = {step.name: step.makes for step in steps.steps(plan)}
    assert words(plan, "second look")[1] == str(made[before])
    for name in ("export", "finish"):
        assert words(plan, name)[1] == words(plan, "second look")[3] == str(plan.trained) == str(made["second look"])
    assert words(plan, "second look")[-2:] == ["--samples", "7"]


def test_a_run_that_goes_on_resumes_its_training_alone(tmp_path: Path) -> None:
    """Whatever step was stopped, its command takes the options."""
    plan = replace(PLAN, run=tmp_path, remembers=True, looks=True, silent=True)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "last.pt").touch()
    continued = {step.name: run._continued(step, plan).words for step in steps.steps(plan)}
    assert [name for name, words in continued.items() if "--resume" in words] == ["train"]
    assert classifier.parser().parse_args(continued["classifier"][1:]).out == plan.learned
    assert second_look.parser().parse_args(continued["second look"][1:]).out == plan.trained


def test_a_name_like_an_option() -> None:
    for name in ("export", "finish"):
        exported = words(replace(PLAN, name="-v2"), name)
        assert command_line._subcommand_parser().parse_args(exported).name == "-v2"


def test_a_long_name_makes_no_longer_file_name_than_a_disk_takes() -> None:
    for name in ("x" * 250, "日本" * 120):
        assert 100 < len(steps.file_name(name).encode()) <= 160
    assert steps.file_name("../a b") == "a-b"


def test_without_anything_held_out_nothing_is_chosen_or_scored() -> None:
    plan = replace(PLAN, validates=False)
    assert names(plan) == ["train", "export", "int8", "int8-cpu"]
    assert "--all-groups" in words(plan, "train")
    assert "--patience" not in words(plan, "train")
    assert "--data" not in words(plan, "int8")


def test_weights_bring_a_lower_learning_rate_than_imagenet() -> None:
    given = words(PLAN, "train")
    assert given[given.index("--weights") :][:4] == ["--weights", "start.onnx", "--learning-rate", "0.001"]
    assert "--weights" not in words(replace(PLAN, weights=""), "train")
    assert "--learning-rate" not in words(replace(PLAN, weights=""), "train")


def test_what_is_kept_for_the_end_is_what_is_scored() -> None:
    assert words(PLAN, "score")[3:5] == ["--split", "validation"]
    assert words(replace(PLAN, tested=True), "score")[3:5] == ["--split", "test"]
    assert words(replace(PLAN, tested=True), "choose")[4:6] == ["--split", "validation"]  # never tuned on tests
    assert words(replace(PLAN, tested=True), "detect-test")[-2:] == ["-o", "mine/runs/001/test.npz"]
    assert "detect-test" not in names(PLAN)


def test_the_licence_of_the_weights_holds_for_the_model() -> None:
    assert "--licence" not in words(PLAN, "export")
    for name in ("export", "finish"):
        given = words(replace(PLAN, licence="for research"), name)
        assert given[given.index("--licence") + 1] == "for research"


def test_calibration_and_the_options_of_training() -> None:
    given = words(replace(PLAN, samples=7, more=("--device", "cpu")), "train")
    assert given[given.index("--samples") :][:4] == ["--samples", "7", "--validate-every", "1"]
    assert given[-2:] == ["--device", "cpu"]
    calibrated = words(PLAN, "int8")
    assert calibrated[calibrated.index("--calibrate") :][:3] == ["--calibrate", "a.mp4", "b.mp4"]


def test_without_int8() -> None:
    assert names(replace(PLAN, int8=False))[-1] == "finish"


def test_every_command_takes_its_options() -> None:
    """As its own parser sees them; nothing is run."""
    for step in steps.steps(replace(PLAN, tested=True, remembers=True, looks=True)):
        if step.program == steps.CONVERT:
            single = step.words[0] in command_line.SUBCOMMANDS
            parser = command_line._subcommand_parser() if single else command_line._parser()
            parser.parse_args(step.words)
        elif step.words[0] == "classifier":
            classifier.parser().parse_args(step.words[1:])
        elif step.words[0] == "second-look":
            second_look.parser().parse_args(step.words[1:])
        elif step.program == steps.TRAIN:
            train_options.parser().parse_args(step.words)


@pytest.mark.parametrize(
    ("name", "file"),
    [("mine", "mine"), ("my actions", "my-actions"), ("../x", "x"), ("été/2", "été-2"), ("…", "model"), ("-a", "a")],
)
def test_names_of_files(name: str, file: str) -> None:
    assert steps.file_name(name) == file
