"""The steps of `korsal-train run`, each with the command that does it. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

TRAIN, EVALUATE, CONVERT = "korsal-train", "korsal-evaluate", "korsal-convert"

SAMPLES = 3_000  # this and the learning rate: docs/teach.md, How it learns
VALIDATIONS = 6  # in a run
PATIENCE = 3  # of them without a better score
LONGEST_FILE_NAME = 160  # bytes, of 255; precisions and endings come after it
LEARN = "train"  # the step that may go on where it was interrupted; the others begin anew
SCORES, START_SCORES = "scores.json", "start_scores.json"  # files in the folder of a run
LEARNING_RATE = 1e-3  # of a network that has seen actions; from ImageNet alone that of korsal-train


@dataclass(frozen=True)
class RunPlan:
    """What a run is to do: with which weights, on which videos, into which folder.

    `weights`: "" for ImageNet's. `calibration`: videos to learn from. `quiet`: those in which no event may begin.
    `validates`: whether anything is held out; `tested`: whether videos that show an action are kept for a last score.
    `int8`: whether files of that precision are made too. `silent`: without progress. `remembers`: whether the weights
    take a memory's maps, of which a classifier is learnt anew. `looks`: whether the network can look at boxes again.
    """

    folder: Path
    run: Path
    name: str
    weights: str
    calibration: tuple[Path, ...]
    quiet: tuple[Path, ...] = ()
    validates: bool = True
    tested: bool = False
    int8: bool = True
    silent: bool = False
    licence: str = ""  # of the weights to begin with
    samples: int = SAMPLES
    seed: int = 0
    more: tuple[str, ...] = ()  # options of korsal-train, as --device cpu
    remembers: bool = False
    looks: bool = False

    @property
    def learned(self) -> Path:
        """What the training gives, with its classifier if it has one."""
        return self.run / ("classified.pt" if self.remembers else "train/best.pt")

    @property
    def trained(self) -> Path:
        """What is exported."""
        return self.run / "looking.pt" if self.looks else self.learned

    @property
    def cache(self) -> Path:
        """For decoded frames."""
        return self.folder / ".cache"

    @property
    def model(self) -> Path:
        """The FP32 file; those of other precisions lie beside it."""
        return self.run / f"{file_name(self.name)}.onnx"


@dataclass(frozen=True)
class RunStep:
    """One command, what it is for, and the file that it leaves."""

    name: str
    purpose: str
    program: str
    words: tuple[str, ...]
    makes: Path


def detections(split: str) -> str:
    """The file of what was found in the videos of a split, in the folder of a run."""
    return f"{split}.npz"


def file_name(name: str) -> str:
    """The name of a model as that of a file, which file systems bound in bytes."""
    short = name.encode()[:LONGEST_FILE_NAME].decode(errors="ignore")
    return re.sub(r"[^\w.-]+", "-", short).strip("-.") or "model"


def steps(plan: RunPlan) -> tuple[RunStep, ...]:
    """All of them, in order."""
    held_out = [*_chosen_by_validation(plan)] if plan.validates else []
    apart = [*([_classifier(plan)] if plan.remembers else []), *([_second_look(plan)] if plan.looks else [])]
    return (_train(plan), *apart, _export(plan, ()), *held_out, *(_reduced(plan) if plan.int8 else ()))


def _step(name: str, purpose: str, program: str, words: Sequence[object], makes: Path) -> RunStep:
    return RunStep(name, purpose, program, tuple(map(str, words)), makes)


def _train(plan: RunPlan) -> RunStep:
    out = plan.run / "train"
    words: list[object] = [plan.folder, "--out", out, "--cache", plan.cache]
    words += ["--weights", plan.weights, "--learning-rate", LEARNING_RATE] if plan.weights else []
    words += ["--samples", plan.samples, "--validate-every", max(plan.samples // VALIDATIONS, 1), "--seed", plan.seed]
    words += ["--patience", PATIENCE] if plan.validates else ["--all-groups"]
    return _step(LEARN, "learn", TRAIN, [*words, *plan.more], out / "best.pt")


def _classifier(plan: RunPlan) -> RunStep:
    words = [
        "classifier",
        plan.run / "train" / "best.pt",
        "-o",
        plan.learned,
        "--cache",
        plan.cache,
        "--seed",
        plan.seed,
    ]
    return _step("classifier", "learn what its memory alone tells", TRAIN, words, plan.learned)


def _second_look(plan: RunPlan) -> RunStep:
    words: list[object] = ["second-look", plan.learned, "-o", plan.trained, "--cache", plan.cache, "--seed", plan.seed]
    words += ["--samples", plan.samples]
    return _step("second look", "learn to look at each box again", TRAIN, words, plan.trained)


def _export(plan: RunPlan, known: Sequence[object]) -> RunStep:
    words = ["export", plan.trained, "-o", plan.model, f"--name={plan.name}"]  # which may begin like an option
    words += [*(["--licence", plan.licence] if plan.licence else []), *known]
    name, purpose = ("finish", "put scores into the model") if known else ("export", "write the model")
    return _step(name, purpose, CONVERT, words, plan.model)


def _chosen_by_validation(plan: RunPlan) -> Iterator[RunStep]:
    """What needs videos that were not learned from: start scores, and how good the model is."""
    data = ["--data", plan.folder, "--split", "validation"]
    found, quiet, chosen = (plan.run / name for name in (detections("validation"), "quiet.npz", START_SCORES))
    words = ["detect", plan.model, *data, "-o", found]
    yield _step("detect", "look at the held-out scenes", EVALUATE, words, found)
    if plan.quiet:
        words = ["detect", plan.model, "--videos", *plan.quiet, "-o", quiet]
        yield _step("quiet", "look where nothing happens", EVALUATE, words, quiet)
    words = ["events", found, *data, "--choose", chosen, *(["--quiet", quiet] if plan.quiet else [])]
    yield _step("choose", "choose the scores at which events begin", EVALUATE, words, chosen)
    split = "test" if plan.tested else "validation"
    report = plan.run / SCORES
    if plan.tested:
        words = ["detect", plan.model, "--data", plan.folder, "--split", split, "-o", plan.run / detections(split)]
        yield _step("detect-test", "look at the videos to test on", EVALUATE, words, plan.run / detections(split))
    words = [plan.model, "--data", plan.folder, "--split", split, "--json", report, "--plots", plan.run / "plots"]
    yield _step("score", f"score the {split} videos", EVALUATE, words, report)
    yield _export(plan, ["--scores", report, "--start-scores", chosen])


def _reduced(plan: RunPlan) -> Iterator[RunStep]:
    """INT8 for devices with TensorRT, and for CPUs."""
    frames = ["--calibrate", *plan.calibration]
    gate = ["--data", plan.folder, "--split", "validation"] if plan.validates else []
    words = [plan.model, "-o", plan.model.with_suffix(""), "--precision", "int8", *frames, *gate]
    yield _step("int8", "make it INT8 for a GPU, if it stays as good", CONVERT, words, plan.model)
    target = plan.model.with_name(f"{plan.model.stem}-int8-cpu.onnx")
    words = ["quantize", plan.model, "-o", target, *frames, "--method", "percentile", "--target", "cpu"]
    yield _step("int8-cpu", "make it INT8 for a CPU", CONVERT, words, target)
