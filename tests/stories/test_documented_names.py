"""What the documentation names is there: keys of config.toml, options of commands, files of the repository."""

import ast
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from edge.config.schema import Config
from tests.support.documented_commands import PAGES
from tests.support.paths import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROSE = [(page, re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)) for page in PAGES]
FOREIGN = {  # options of other programs
    "podman, docker, buildah": (
        "--build-arg", "--group-add", "--isolation", "--network", "--restart", "--runtime", "--secret", "--signal",
    ),
    "pip, pipx, jtop": ("--break-system-packages", "--python", "--install-service"),
    "torchrun, and what onnxruntime brings": ("--nproc-per-node", "--opt_out"),
}  # fmt: skip
ELSEWHERE = ("docs/operators.md",)  # of onnx-tensorrt
FOLDERS = "benchmarks|convert|demo|docs|edge|examples|models|scripts|systemd|tests|train"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def quoted(pattern: str) -> Iterator[tuple[str, "re.Match[str]"]]:
    """What stands between backticks in running text and looks like this, with its page."""
    for page, text in PROSE:
        for found in re.finditer(rf"`{pattern}`", text):
            yield name(page), found


def models_of(annotation: Any) -> list[Any]:
    """The schemas in a type: its own, or of the values of a table by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models_of(part)]


def is_key(path: list[str], schema: Any = Config) -> bool:
    """Whether config.toml may hold it; a level of a table by name, as of a camera, is skipped."""
    if not path:
        return True
    field = schema.model_fields.get(path[0]) or next(
        (one for one in schema.model_fields.values() if one.alias == path[0]), None
    )
    if field is None:
        return False
    inner, rest = models_of(field.annotation), path[1:]
    if not rest:
        return True
    if not inner:
        return typing.get_origin(field.annotation) is dict
    return any(is_key(rest, one) or is_key(rest[1:], one) for one in inner)


def test_keys_of_the_configuration_exist() -> None:
    found = list(quoted(r"\[((?!silent\])[a-z][\w.]*)\](?: ([a-z_]+)(?: = [^`]+)?)?"))
    assert len(found) > 80
    wrong = [
        f"{page}: [{words[1]}] {words[2] or ''}"
        for page, words in found
        if not is_key([*words[1].split("."), *filter(None, [words[2]])])
    ]
    assert not wrong, wrong


def keys_in(table: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[list[str]]:
    for key, value in table.items():
        yield [*path, key]
        if isinstance(value, dict):
            yield from keys_in(value, (*path, key))


def test_keys_in_examples_exist() -> None:
    examples = [
        (name(page), block)
        for page in PAGES
        for block in re.findall(r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    ]
    assert len(examples) >= 5
    for page, block in examples:
        text = re.sub(r"{%.*?%}\n?", "", block).replace("{{ camera.name }}", "door")
        wrong = [".".join(path) for path in keys_in(tomllib.loads(text)) if not is_key(path)]
        assert not wrong, f"{page}: {wrong}"


@pytest.fixture(scope="module")
def options() -> set[str]:
    """All that our programs take."""
    found = set(re.findall(r"--[a-z][\w-]*", (ROOT / "install.sh").read_text()))
    for folder in ("edge", "train", "convert", "benchmarks", "scripts"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found |= set(re.findall(r"^--[a-z][\w-]*$", node.value))
    return found | {f"--no-{option[2:]}" for option in found}


def test_options_in_running_text_exist(options: set[str]) -> None:
    known = options | {option for theirs in FOREIGN.values() for option in theirs}
    wrong = sorted(
        {
            f"{page}: {option}"
            for page, words in quoted(r"[^`\n]*--[a-z][^`\n]*")
            for option in re.findall(r"(?<![\w-])--[a-z][\w-]*\w(?![\w-])", words[0])
            if option not in known
        }
    )
    assert not wrong, "\n".join(wrong)


def test_files_in_running_text_exist() -> None:
    found = list(quoted(rf"((?:{FOLDERS})/[\w./-]*)"))
    assert len(found) > 200
    wrong = sorted(
        {f"{page}: {words[1]}" for page, words in found if words[1] not in ELSEWHERE and not (ROOT / words[1]).exists()}
    )
    assert not wrong, "\n".join(wrong)


def test_no_row_stands_outside_a_table() -> None:
    """An empty line within a table ends it, and what follows is shown as text."""
    stray = []
    for page, text in PROSE:
        for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            rows = block.splitlines()
            if len(rows) < 2 or not re.fullmatch(r"\|[\s|:-]+\|", rows[1]):
                stray.append(f"{name(page)}: {rows[0][:60]}")
    assert not stray, stray
