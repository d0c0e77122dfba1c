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
MODULES = ("benchmarks.", "train.", "convert.", "scripts.")
FOREIGN = {  # programs of others, and why their lines are not run here
    **dict.fromkeys(("systemctl", "journalctl", "install", "nano"), "they change the machine: tests/install has it"),
    **dict.fromkeys(("mosquitto_sub", "mosquitto_pub", "mosquitto_rr"), "mosquitto's clients; each was run by hand"),
    "podman": "needs a container engine, and for a Jetson's image a Jetson",
    "cmake": "builds OpenCV with CUDA for an hour, on a Jetson",
    "cp": "the reader's own files",
}


def is_ours(command: DocumentedCommand) -> bool:
    words = command.words
    return words[0] in OURS or (words[:2] == ["python", "-m"] and words[2].startswith(MODULES))


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
