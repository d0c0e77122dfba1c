"""The types of values in `config.toml`, and the base class of its tables. Pure."""

import re
import unicodedata
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag

from edge import tiles
from edge.sources import parse
from edge.text import is_visible_line

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
YEAR = 365 * 86_400.0  # seconds
POINTS_FORM, TABLE_FORM = "[points]", "[table]"  # how a zone is written; pydantic puts them into an error's path
UNWRITTEN = frozenset({"[key]", POINTS_FORM, TABLE_FORM})  # parts of an error's path that are no keys of the file
TUNABLE: dict[str, JsonValue] = {"tunable": True}  # may be changed by an MQTT request, with everything below it


class TableError(ValueError):
    """Contradictions inside a table: a sentence for each key, by its path within the table."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{key}: {fault}" for key, fault in problems.items()))


def _name(text: str) -> str:
    """A name of a device or camera: it becomes a topic level and part of a file name."""
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


def _label(text: str) -> str:
    if not is_visible_line(text) or not text.strip():
        raise ValueError("should be a line of visible characters, not empty")
    return text


def _file(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("a path cannot contain a NUL character: remove it")
    return path


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError("should be an IP address of this machine, such as 127.0.0.1") from None


def _host(text: str) -> str:
    if set("@/\\ ") & set(unicodedata.normalize("NFKC", text)):  # ＠ too, as keyboards of East Asia type it
        raise ValueError("should be a name or an address alone, without mqtt://, user, password or path")
    if set(":[]") & set(text) and not _is_ipv6(text):
        raise ValueError("should be a name or an address alone: write the port as port = 1883, and IPv6 without [ ]")
    return text


def _is_ipv6(text: str) -> bool:
    try:
        return ip_address(text).version == 6
    except ValueError:
        return False


def _source(text: str) -> str:
    parse(text)
    return text


def _grid(text: str) -> str:
    tiles.parse_grid(text)
    return text


Identifier = Annotated[str, AfterValidator(_name)]
TopicPath = Annotated[str, AfterValidator(_topic)]
ActionLabel = Annotated[str, AfterValidator(_label), Field(max_length=1024)]  # of the model: an action
PrintableLine = Annotated[str, AfterValidator(_line), Field(max_length=1024)]
FilePath = Annotated[Path, AfterValidator(_file)]
SourceUri = Annotated[PrintableLine, AfterValidator(_source)]  # of a camera
IpAddress = Annotated[str, AfterValidator(_address)]
HostName = Annotated[PrintableLine, AfterValidator(_host)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Duration = Annotated[float, Field(ge=0, le=YEAR, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]  # of the frame's width or height
Celsius = Annotated[float, Field(ge=0, le=150, allow_inf_nan=False)]
Pixels = Annotated[int, Field(ge=1, le=16_384)]
UnitRegion = Annotated[tuple[float, ...], AfterValidator(tiles.check_region)]
TileGrid = Annotated[str, AfterValidator(_grid)]
TileOverlap = Annotated[float, Field(ge=0, le=tiles.MOST_OVERLAP, allow_inf_nan=False)]  # of a tile's width and height
UnitPoint = tuple[Fraction, Fraction]
UnitPolygon = Annotated[tuple[UnitPoint, ...], Field(min_length=3, max_length=64)]


ZoneNames = Annotated[tuple[Identifier, ...], Field(max_length=256)]


class Table(BaseModel):
    """A table of the file: frozen, strictly typed, without unknown keys."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", protected_namespaces=())


class ZoneConfig(Table):
    """A zone with settings of its own, `[cameras.NAME.zones.ZONE]`."""

    points: UnitPolygon = Field(examples=["points = [[0.0, 0.5], [0.5, 0.5], [0.5, 1.0]]"])
    min_duration: Duration = 0.0


def _form_of_zone(value: object) -> str:
    return TABLE_FORM if isinstance(value, Mapping | ZoneConfig) else POINTS_FORM


AnyZone = Annotated[
    Annotated[UnitPolygon, Tag(POINTS_FORM)] | Annotated[ZoneConfig, Tag(TABLE_FORM)], Discriminator(_form_of_zone)
]
