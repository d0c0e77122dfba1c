"""The schema of `config.toml`: every key, its range and its default. Pure.

The schema is the parser: keys that it does not know, values of another type or out of range are mistakes. What a key
means is said once, in `config.toml`.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from edge.sources import Flip, Source, parse

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
YEAR = 365 * 86_400.0  # seconds


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


def _source(text: str) -> str:
    parse(text)
    return text


Name = Annotated[str, AfterValidator(_name)]
Topic = Annotated[str, AfterValidator(_topic)]
Line = Annotated[str, AfterValidator(_line), Field(max_length=1024)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=YEAR, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]  # of the frame's width or height
Pixels = Annotated[int, Field(ge=1, le=16_384)]
Point = tuple[Share, Share]
Polygon = Annotated[tuple[Point, ...], Field(min_length=3, max_length=64)]


class Table(BaseModel):
    """A table of the file: frozen, strict, no key beyond its own."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", protected_namespaces=())


class Device(Table):
    """`[device]`"""

    name: Name = "korsal-edge"


class Model(Table):
    """`[model]`; `path` is None for the model that is shipped."""

    path: Path | None = None
    threads: Annotated[int, Field(ge=0, le=256)] = 2
    providers: tuple[Line, ...] = ()


class Camera(Table):
    """`[cameras.NAME]`; `source` may hold credentials, so it is never shown: show `described().redacted`."""

    source: Annotated[Line, AfterValidator(_source)] = Field(examples=['source = "/dev/video0"'], repr=False)
    width: Pixels | None = None
    height: Pixels | None = None
    fps: Annotated[float, Field(ge=0.1, le=1000, allow_inf_nan=False)] | None = None
    flip: Flip = "none"
    zones: dict[Name, Polygon] = Field(default_factory=dict)

    def described(self) -> Source:
        """How to open this camera."""
        return parse(self.source, self.width, self.height, self.fps, self.flip)

    @model_validator(mode="after")
    def _options_fit(self) -> "Camera":
        self.described()
        return self


class Linker(Table):
    """`[linker]`"""

    kind: Literal["default", "korsal"] = "default"


class Action(Table):
    """`[actions.NAME]`; what is None comes from `[actions.default]`, then from the built-in defaults."""

    start_score: Score | None = None
    keep_score: Score | None = None
    min_duration: Seconds | None = None
    cooldown: Seconds | None = None
    update_interval: Seconds | None = None


class Tls(Table):
    """`[mqtt.tls]`; `ca` is None for the system's authorities."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _pair_is_whole(self) -> "Tls":
        if (self.cert is None) != (self.key is None):
            raise ValueError("give both cert and key, or neither")
        return self


class Mqtt(Table):
    """`[mqtt]`; the password itself is read at each login and held nowhere."""

    host: Line = "localhost"
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    version: Literal[5, 3] = 5
    username: Line | None = Field(default=None, repr=False)
    password_file: Path | None = None
    client_id: Name | None = None
    keepalive: Annotated[int, Field(ge=5, le=3600)] = 30
    base: Topic = "korsal"
    tls: Tls | None = None

    @model_validator(mode="after")
    def _password_has_a_user(self) -> "Mqtt":
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file is given without username; add username")
        return self


class Outbox(Table):
    """`[outbox]`; rows and bytes are of messages that wait, age in seconds."""

    directory: Path | None = None
    max_rows: Annotated[int, Field(ge=10, le=100_000_000)] = 100_000
    max_bytes: Annotated[int, Field(ge=64 * 1024)] = 64 * 1024 * 1024
    max_age: Annotated[float, Field(ge=1, le=YEAR, allow_inf_nan=False)] = 7 * 86_400.0


class Telemetry(Table):
    """`[telemetry]`; an interval of 0 means none."""

    interval: Seconds = 10.0


class Log(Table):
    """`[log]`"""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Table):
    """The whole file. Paths are absolute and, but for the outbox's directory, existed when the file was loaded."""

    device: Device = Device()
    model: Model = Model()
    cameras: Annotated[dict[Name, Camera], Field(min_length=1)] = Field(
        examples=['a table [cameras.door] with source = "/dev/video0" in it']
    )
    linker: Linker = Linker()
    actions: dict[Line, Action] = Field(default_factory=dict)
    mqtt: Mqtt = Mqtt()
    outbox: Outbox = Outbox()
    telemetry: Telemetry = Telemetry()
    log: Log = Log()
