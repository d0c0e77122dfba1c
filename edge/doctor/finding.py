"""What `korsal-edge doctor` says of one thing, and how it reads. Pure."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "wrong"]
SHOWN: dict[Level, str] = {"ok": "ok     ", "warning": "WARNING", "wrong": "WRONG  "}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `cure` is empty where nothing is to be done."""

    subject: str
    level: Level
    text: str
    cure: str = ""

    def line(self) -> str:
        """As it is printed."""
        cure = f"; {self.cure}" if self.cure else ""
        return f"{SHOWN[self.level]} {self.subject}: {self.text}{cure}"


def ok(subject: str, text: str) -> Finding:
    """As it should be."""
    return Finding(subject, "ok", text)


def warning(subject: str, text: str, cure: str) -> Finding:
    """The daemon runs, but not as well as it could."""
    return Finding(subject, "warning", text, cure)


def wrong(subject: str, text: str, cure: str) -> Finding:
    """The daemon does not run, or does not do all that it is configured for."""
    return Finding(subject, "wrong", text, cure)


def told(subject: str, sentence: str) -> Finding:
    """`wrong`, of an error that names its own cure."""
    return Finding(subject, "wrong", sentence)
