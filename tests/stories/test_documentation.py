"""What the documentation promises: its commands are accepted, its messages are printed."""

import ast
import re
import subprocess
import sys

import pytest

from tests.support.documented_commands import (
    OURS,
    DocumentedCommand,
    accept,
    accept_options,
    all_commands,
    inline_commands,
)
from tests.support.paths import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

COMMANDS = tuple(all_commands())
MODULES = ("benchmarks.", "train.", "convert.", "scripts.", "examples.")
FOREIGN = {  # programs of others, and why their lines are not run here
    **dict.fromkeys(("systemctl", "journalctl", "install", "nano"), "they change the machine: tests/install has it"),
    **dict.fromkeys(("mosquitto_sub", "mosquitto_pub", "mosquitto_rr"), "mosquitto's clients; each was run by hand"),
    "podman": "needs a container engine, and for a Jetson's image a Jetson",
    "cmake": "builds OpenCV with CUDA for an hour, on a Jetson",
    "cp": "the reader's own files",
}
RUN_BY = {  # which test runs it, as it is written or with small inputs
    "korsal-edge bench": "tests/edge/commands/test_bench.py",
    "korsal-edge doctor": "tests/edge/commands/test_command_line.py",
    "korsal-edge events": "tests/stories/test_documented_runs.py",
    "korsal-edge index": "tests/stories/test_documented_runs.py",
    "korsal-edge record": "tests/edge/commands/test_record.py",
    "korsal-edge replay": "tests/stories/test_documented_runs.py",
    "korsal-edge web-password": "tests/edge/commands/test_web_password.py",
    "korsal-convert": "tests/convert/test_conversion.py",
    "korsal-convert build": "tests/convert/test_build.py",
    "korsal-convert check": "tests/convert/test_conversion.py",
    "korsal-convert checkpoint": "tests/convert/test_centernet_checkpoint.py",
    "korsal-convert export": "tests/convert/test_conversion.py",
    "korsal-convert quantize": "tests/convert/test_conversion.py",
    "korsal-evaluate": "tests/train/test_evaluate.py",
    "korsal-evaluate detect": "tests/train/test_evaluate_steps.py",
    "korsal-evaluate events": "tests/train/test_evaluate_steps.py",
    "korsal-evaluate export": "tests/train/test_evaluate_steps.py",
    "korsal-evaluate link": "tests/train/test_evaluate_steps.py",
    "korsal-evaluate score": "tests/train/test_evaluate_steps.py",
    "korsal-train": "tests/train/test_train.py",
    "korsal-train check": "tests/train/test_check.py",
    "korsal-train classifier": "tests/train/test_classifier.py",
    "korsal-train second-look": "tests/train/test_second_look.py",
    "korsal-train deploy": "tests/convert/project/test_deploy.py",
    "korsal-train fetch": "tests/convert/project/test_fetch.py",
    "korsal-train new": "tests/stories/test_documented_runs.py",
    "korsal-train propose": "tests/convert/project/test_propose.py",
    "korsal-train run": "tests/convert/project/test_run.py",
    "python -m convert.movinet_export": "tests/convert/test_movinet_export.py",
    "python -m examples.drawn.example": "tests/stories/test_drawn_example.py",
    "python -m train.networks.movinet_weights": "tests/train/networks/test_movinet_weights.py",
}


def is_ours(command: DocumentedCommand) -> bool:
    words = command.words
    return words[0] in OURS or (words[:2] == ["python", "-m"] and words[2].startswith(MODULES))


def name_of(command: DocumentedCommand) -> str:
    """Program and subcommand, or the module."""
    words = command.words
    if words[0] not in OURS:
        return " ".join(words[:3])
    called = f"{words[0]} {words[1]}"
    return called if re.fullmatch(r"[a-z][a-z-]+", words[1]) else words[0]


def test_each_command_is_run_by_a_test() -> None:
    """All but measurements, which take hours and data, and were run for the figures beside them."""
    ours = {name_of(one) for one in COMMANDS if is_ours(one)}
    assert {one for one in ours if not one.startswith("python -m benchmarks.")} == set(RUN_BY)
    for command, test in RUN_BY.items():
        said = (ROOT / test).read_text(encoding="utf-8")
        assert command.rsplit(" ", 1)[-1].rsplit(".", 1)[-1] in said, f"{test} does not run {command}"


def needs_a_jetson(command: DocumentedCommand) -> bool:
    """It builds an engine, or OpenCV with CUDA, or starts a container upon JetPack."""
    builds = name_of(command) == "korsal-convert build" and "--dry-run" not in command.words
    return builds or any(word in command.text for word in ("CUDA", "Cuda", "l4t-", "nvidia"))


def test_what_needs_a_jetson_is_marked() -> None:
    found = [one for one in COMMANDS if needs_a_jetson(one)]
    assert len(found) >= 6
    unmarked = [one.text for one in found if "Jetson" not in one.comment + section_of(one)]
    assert not unmarked, unmarked


def section_of(command: DocumentedCommand) -> str:
    """Heading and text before its block, where that is short: a mark further away is read by nobody."""
    page = (ROOT / command.page).read_text(encoding="utf-8")
    before = page[: page.index(command.text.split("  ")[0])]
    return re.split(r"^#+ ", before, flags=re.MULTILINE)[-1][-800:]


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("command", [one for one in COMMANDS if is_ours(one)], ids=lambda one: one.text[:70])
def test_a_command_is_accepted(command: DocumentedCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    accept(command, monkeypatch)


def test_commands_in_running_text_exist() -> None:
    found = list(inline_commands())
    assert len(found) > 20
    for command in found:
        accept_options(command)


def test_a_wrong_command_is_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("korsal-edge evens", "korsal-edge events --colour red", "korsal-evaluate detect MODEL [--spli test]"):
        with pytest.raises(AssertionError):
            accept(DocumentedCommand("here", text), monkeypatch)
    for text in ("korsal-edge evens", "korsal-edge check --camera door"):
        with pytest.raises(AssertionError):
            accept_options(DocumentedCommand("here", text))


def test_the_other_lines_are_of_known_programs() -> None:
    """So that a misspelt command, or output that is not marked as `text`, is found."""
    unknown = []
    for command in COMMANDS:
        words = command.words
        if words[0] in ("./install.sh", "scripts/check", "scripts/test", "pytest"):
            assert_they_exist(words)
        elif words[:2] in (["pip", "install"], ["python3", "-c"]):
            assert_extras_exist(command.text)
        elif not is_ours(command) and words[0] not in FOREIGN:
            unknown.append(f"{command.page}: {command.text}")
    assert not unknown, "\n".join(unknown)


def assert_they_exist(words: list[str]) -> None:
    """The files and options of our own scripts."""
    if words[0] == "./install.sh":
        usage = subprocess.run(["bash", "install.sh", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
        assert all(word in usage.stdout for word in words if word.startswith("--")), words
    elif words[0] == "pytest":
        assert all((ROOT / word).exists() for word in words if word.startswith("tests/")), words
    else:
        assert (ROOT / words[0]).exists()


def assert_extras_exist(text: str) -> None:
    """The extras that pip is told to install."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for named in re.findall(r"(?:korsal-edge|\.)\[([\w,]+)\]", text):
        assert set(named.split(",")) <= set(extras), text


def printed_texts() -> str:
    """All texts of the device's code, what is filled in as `…`."""
    found = []
    for file in (ROOT / "edge").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"%[.\d]*[a-z]", "…", node.value))
            elif isinstance(node, ast.JoinedStr):
                parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.append("".join(parts))
    return "\n".join(found)


def test_messages_in_troubleshooting_are_those_of_the_code() -> None:
    page, code = (ROOT / "docs" / "troubleshooting.md").read_text(), printed_texts()
    tables = re.findall(r"^\| [^|]*says \|.*?(?:\n\n|\Z)", page, re.MULTILINE | re.DOTALL)
    cells = [row.split("|")[1] for table in tables for row in table.splitlines()[2:] if row]
    quoted = [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]
    assert len(quoted) > 30
    missing = [one for one in quoted if not all(part.strip() in code for part in one.split("…"))]
    assert not missing, missing
