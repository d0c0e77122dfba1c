"""A finding of `korsal-edge doctor`, and the line it is printed as. Pure."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "wrong"]
SHOWN: dict[Level, str] = {"ok": "ok     ", "warning": "WARNING", "wrong": "WRONG  "}


@dataclass(frozen=True)
class Finding:
    """The result of one check. `remedy` is empty where nothing is to be done, or `text` names it."""

    subject: str
    level: Level
    text: str
    remedy: str = ""

    def line(self) -> str:
        """The finding as it is printed."""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{SHOWN[self.level]} {self.subject}: {self.text}{remedy}"


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(subject, "ok", text)


def warning(subject: str, text: str, remedy: str) -> Finding:
    """The daemon runs, but not as well as it could."""
    return Finding(subject, "warning", text, remedy)


def wrong(subject: str, text: str, remedy: str = "") -> Finding:
    """The daemon does not run, or not as it is configured. An error's message names its own remedy."""
    return Finding(subject, "wrong", text, remedy)
