"""Topics, and the payloads other than events. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from edge.event_settings import EventSettings

ONLINE = b"online"
OFFLINE = b"offline"

_UNSAFE = re.compile(rb"[^A-Za-z0-9_-]")


@dataclass(frozen=True)
class Topics:
    """The topics of one device. The schema of config.toml ensures that `base` and `device` are safe."""

    base: str
    device: str

    @property
    def root(self) -> str:
        """The beginning of all topics."""
        return f"{self.base}/{self.device}"

    @property
    def available(self) -> str:
        """`online` or `offline`, the last will."""
        return f"{self.root}/available"

    @property
    def status(self) -> str:
        """Version, model, configuration."""
        return f"{self.root}/status"

    @property
    def telemetry(self) -> str:
        """Rates, latencies, temperatures."""
        return f"{self.root}/telemetry"

    @property
    def lost(self) -> str:
        """What was not delivered, by kind."""
        return f"{self.root}/lost"

    @property
    def requests(self) -> str:
        """The filter of all requests."""
        return self.request("+")

    def request(self, op: str) -> str:
        """Where requests are published."""
        return f"{self.root}/request/{op}"

    def response(self, op: str) -> str:
        """Where requests are answered, unless they name another topic."""
        return f"{self.root}/response/{op}"

    def event(self, camera: str, action: str) -> str:
        """One action's events."""
        return f"{self.root}/{camera}/actions/{level(action)}"

    def device_event(self, kind: str) -> str:
        """Events of the device itself, such as `thermal`."""
        return f"{self.root}/events/{kind}"

    def event_filter(self, camera: str) -> str:
        """The filter of all events of a camera."""
        return f"{self.root}/{camera}/actions/+"

    def snapshot(self, camera: str, action: str | None = None) -> str:
        """The picture of an action's newest event; without an action, the requested one."""
        return f"{self.root}/{camera}/snapshot" + ("" if action is None else f"/{level(action)}")

    def state(self, camera: str) -> str:
        """`online`, `stalled`, `offline` or `disabled`."""
        return f"{self.root}/{camera}/state"

    def active(self, camera: str) -> str:
        """How many events are open, by action."""
        return f"{self.root}/{camera}/active"

    def people(self, camera: str) -> str:
        """How many people are detected, with an event and without."""
        return f"{self.root}/{camera}/people"

    def thresholds(self, camera: str) -> str:
        """The scores at which events begin and continue, by action."""
        return f"{self.root}/{camera}/thresholds"


def level(name: str) -> str:
    """A label as one level of a topic, percent-encoded as in URLs.

    All but A-Z a-z 0-9 _ - become the `%XX` of their UTF-8 bytes. Different labels have different levels, and `label`
    decodes them; so does any decoder of URLs.
    """
    return _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], name.encode("utf-8", "surrogatepass")).decode()


def label(level: str) -> str:
    """The label of a `level`."""
    return unquote(level, errors="surrogatepass")


def encode(payload: Mapping[str, object]) -> bytes:
    """Compact JSON, UTF-8. Raises ValueError for NaN and infinity, which JSON does not have."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def status_payload(
    version: str,
    model: Mapping[str, str],
    labels: Sequence[str],
    config: str,
    cameras: Mapping[str, str],
    needs_restart: Sequence[str],
    broker: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """What runs here. `model`: name and sha256; `config`: its fingerprint; `cameras`: name → source without secrets.

    `needs_restart`: keys whose new values were read but wait for a restart; `broker`: the state of the connection.
    """
    return {
        "schema": 1,
        "version": version,
        "model": dict(model),
        "labels": list(labels),
        "config": config,
        "cameras": dict(cameras),
        "needs_restart": list(needs_restart),
        **({} if broker is None else {"broker": dict(broker)}),
    }


def active_payload(labels: Sequence[str], running: Mapping[str, int]) -> dict[str, object]:
    """Number of running events by action, the actions without one included."""
    return {name: running.get(name, 0) for name in labels}


def thresholds_payload(labels: Sequence[str], settings: EventSettings) -> dict[str, object]:
    """The scores in force, by action."""
    found = {name: settings.for_action(name) for name in labels}
    return {
        name: {"start_score": round(one.start_score, 4), "keep_score": round(one.keep_score, 4)}
        for name, one in found.items()
    }


def people_payload(active: int, other: int, least_score: float) -> dict[str, object]:
    """People with a running event, and `other` ones, whose best action scores at least so much."""
    return {"active": active, "other": other, "least_score": least_score}
