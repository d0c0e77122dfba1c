"""What the page's process has to know, handed to it as JSON. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class PageSettings:
    """Paths are absolute, "" for none. `store`: the event store, kept or not; `config`: the configuration's file."""

    device: str
    version: str
    address: str
    port: int
    hosts: tuple[str, ...]
    password_file: str
    cert: str
    key: str
    store: str
    config: str = ""

    def to_json(self) -> dict[str, object]:
        """As a message's header can hold it."""
        return asdict(self)

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> "PageSettings":
        """The settings of `to_json`."""
        return PageSettings(**{**content, "hosts": tuple(content["hosts"])})
