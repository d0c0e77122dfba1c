"""The commands in the fenced blocks of the documentation, and whether the program itself would accept them."""

import argparse
import contextlib
import importlib
import io
import re
import runpy
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

PAGES = (
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(ROOT / folder / "README.md" for folder in ("models", "demo", "examples", "benchmarks/gpu")),
)
OURS = {
    "korsal-edge": "edge.__main__",
    "korsal-convert": "convert.__main__",
    "korsal-train": "convert.project.__main__",
    "korsal-evaluate": "train.evaluate",
}
_INLINE = re.compile(r"(?<!`)`((?:sudo )?korsal-(?:edge|convert|train|evaluate) [^`\n]+)`(?!`)")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class DocumentedCommand:
    """One line of a block, continuations joined; `comment`: what follows its `#`."""

    page: str
    text: str
    comment: str = ""

    @property
    def words(self) -> list[str]:
        """Without `sudo`, a redirection, and the folder of a virtual environment."""
        words = shlex.split(self.text)
        if ">" in words:
            words = words[: words.index(">")]
        words = words[1:] if words[:1] == ["sudo"] else words
        return [words[0].removeprefix(".venv/bin/"), *words[1:]]

    @property
    def is_synopsis(self) -> bool:
        """With choices in brackets, or an ellipsis: it shows the form of a command."""
        return any(sign in self.text for sign in ("[--", "…", "...", "[MODEL"))


def all_commands() -> Iterator[DocumentedCommand]:
    """Every line of every block that is not marked as another language."""
    for page in PAGES:
        for language, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            if language in ("", "sh"):
                yield from _lines(page, block)


def inline_commands() -> Iterator[DocumentedCommand]:
    """Commands of ours with arguments in running text."""
    for page in PAGES:
        prose = _BLOCK.sub("", page.read_text(encoding="utf-8"))
        for text in dict.fromkeys(_INLINE.findall(prose)):
            yield DocumentedCommand(str(page.relative_to(ROOT)), text)


def accept_options(command: DocumentedCommand) -> None:
    """Fail unless the program has the command and each of its options."""
    _accept_options(command, _ours(command.words))


def _lines(page: Path, block: str) -> Iterator[DocumentedCommand]:
    joined = re.sub(r"\\\n\s*", " ", block)
    joined = re.sub(r"\n {10,}(?=\[?--|\[)", " ", joined)  # a synopsis goes on further right
    for line in joined.splitlines():
        text, _, comment = re.sub(r"(^|\s+)# ", "\0", line, count=1).partition("\0")
        if text.strip():
            yield DocumentedCommand(str(page.relative_to(ROOT)), text.strip(), comment)


class ParsedError(Exception):
    """The arguments were accepted; the command itself is not run."""


def accept(command: DocumentedCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail unless the program's own parser accepts it."""
    run = _ours(command.words)
    if command.is_synopsis:
        _accept_options(command, run)
        return
    with monkeypatch.context() as patched:
        patched.setattr(argparse.ArgumentParser, "parse_args", _only_parse(argparse.ArgumentParser.parse_args))
        with contextlib.redirect_stderr(io.StringIO()) as said, pytest.raises((ParsedError, SystemExit)) as ended:
            run(_arguments(command.words))
    assert ended.type is ParsedError, f"{command.page}: {command.text}\n{said.getvalue()}"


def _only_parse(parse: Callable[..., Any]) -> Callable[..., Any]:
    def parse_args(parser: argparse.ArgumentParser, *given: Any) -> Any:
        parse(parser, *given)
        raise ParsedError

    return parse_args


def _ours(words: list[str]) -> Callable[[list[str]], Any]:
    if words[0] in OURS:
        return importlib.import_module(OURS[words[0]]).main
    module = words[2]

    def run(arguments: list[str]) -> None:
        before, sys.argv = sys.argv, [module, *arguments]
        try:
            runpy.run_module(module, run_name="__main__")
        finally:
            sys.argv = before

    return run


def _arguments(words: list[str]) -> list[str]:
    return words[1:] if words[0] in OURS else words[3:]


def _accept_options(command: DocumentedCommand, run: Callable[[list[str]], Any]) -> None:
    """Each option of a synopsis must be in the help of its command."""
    arguments = _arguments(command.words)
    subcommand = [word for word in arguments[:1] if re.fullmatch(r"[a-z][a-z-]*", word)]
    output = io.StringIO()
    with (
        contextlib.redirect_stdout(output) as printed,
        contextlib.redirect_stderr(output),
        contextlib.suppress(SystemExit),
    ):
        run([*subcommand, "--help"])
    assert "usage:" in printed.getvalue(), f"{command.page}: {command.text}\n{printed.getvalue()}"
    assert "invalid choice" not in printed.getvalue(), f"{command.page}: {command.text}"
    known = set(re.findall(r"--[\w-]+", printed.getvalue()))
    options = re.findall(r"--[\w-]+", command.text.replace("[no-]", ""))
    missing = [option for option in options if option not in known]
    assert not missing, f"{command.page}: {command.text}: there is no {', '.join(missing)}"
