"""The schema of `config.toml`: every key, its range and its default. Pure.

The schema is the parser: keys that it does not know, values of another type or out of range are mistakes. What a key
means is said once, in `config.toml`.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _name(text: str) -> str:
    """A device's or camera's name becomes a level of a topic and a part of a file's name."""
    if not NAME.fullmatch(text):
        raise ValueError("name it with 1 to 64 of the characters A-Z a-z 0-9 _ - (it becomes part of a topic)")
    return text


def _topic(text: str) -> str:
    levels = text.split("/")
    if len(text.encode()) > 200 or any(not NAME.fullmatch(level) for level in levels):
        raise ValueError("should be levels of A-Z a-z 0-9 _ - joined by /, 200 characters at most")
    return text


def _line(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("should be a line of printable characters, not empty")
    return text


Name = Annotated[str, AfterValidator(_name)]
Topic = Annotated[str, AfterValidator(_topic)]
Line = Annotated[str, AfterValidator(_line), Field(max_length=1024)]
Score = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=86_400 * 365, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Fraction, Fraction]
Polygon = Annotated[tuple[Point, ...], Field(min_length=3, max_length=64)]


class Table(BaseModel):
    """A table of the file: frozen, strict, no key beyond its own."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", protected_namespaces=())


class Device(Table):
    name: Name = "korsal-edge"


class Model(Table):
    path: Path | None = None
    threads: int = Field(2, ge=0, le=256)
    providers: tuple[Line, ...] = ()


class Camera(Table):
    source: Line = Field(examples=['source = "/dev/video0"'], repr=False)
    width: int | None = Field(None, ge=16, le=7680)
    height: int | None = Field(None, ge=16, le=7680)
    fps: float | None = Field(None, gt=0, le=240, allow_inf_nan=False)
    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    zones: dict[Name, Polygon] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _size_is_whole(self) -> "Camera":
        if (self.width is None) != (self.height is None):
            raise ValueError("give both width and height, or neither")
        return self


class Linker(Table):
    kind: Literal["default", "korsal"] = "default"


class Action(Table):
    """One action's thresholds; what is left out comes from `[actions.default]`, then from the defaults."""

    start_score: Score | None = None
    keep_score: Score | None = None
    min_duration: Seconds | None = None
    cooldown: Seconds | None = None
    update_interval: Seconds | None = None


class Tls(Table):
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _pair_is_whole(self) -> "Tls":
        if (self.cert is None) != (self.key is None):
            raise ValueError("give both cert and key, or neither")
        return self


class Mqtt(Table):
    host: Line = "localhost"
    port: int = Field(1883, ge=1, le=65_535)
    version: Literal[5, 3] = 5
    username: Line | None = Field(None, repr=False)
    password_file: Path | None = None
    client_id: Name | None = None
    keepalive: int = Field(30, ge=5, le=3600)
    base: Topic = "korsal"
    tls: Tls | None = None

    @model_validator(mode="after")
    def _password_has_a_user(self) -> "Mqtt":
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file is given without username; add username")
        return self


class Outbox(Table):
    directory: Path | None = None
    max_rows: int = Field(100_000, ge=10, le=100_000_000)
    max_bytes: int = Field(64 * 1024 * 1024, ge=64 * 1024)
    max_age: Seconds = Field(7 * 86_400, ge=1)


class Telemetry(Table):
    interval: Seconds = 10.0


class Log(Table):
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Table):
    """The whole file. Paths are absolute and, but for the outbox's directory, existed when the file was loaded."""

    device: Device = Device()
    model: Model = Model()
    cameras: dict[Name, Camera] = Field(
        min_length=1, examples=['a table [cameras.door] with source = "/dev/video0" in it']
    )
    linker: Linker = Linker()
    actions: dict[Line, Action] = Field(default_factory=dict)
    mqtt: Mqtt = Mqtt()
    outbox: Outbox = Outbox()
    telemetry: Telemetry = Telemetry()
    log: Log = Log()
