"""The daemon's health in plain sentences. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

HealthLevel = Literal["good", "note", "bad"]
BYTE_UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))


class HealthSentence(NamedTuple):
    """`level`: whether all is well, something is to be known, or something is wrong."""

    level: HealthLevel
    about: str
    text: str


def sentences(state: Mapping[str, Any]) -> list[HealthSentence]:
    """What the daemon's state says, the worst first; see `Health.page_payload`."""
    health = state.get("health", {})
    found = [
        *_cameras(health),
        *_stages(health),
        *_broker(health),
        *_history(health.get("history")),
        *_runtime(health.get("runtime")),
        *_hardware(health),
    ]
    return worst_first(found)


def worst_first(found: Iterable[HealthSentence]) -> list[HealthSentence]:
    """Sorted by level, otherwise in their order."""
    return sorted(found, key=lambda one: ("bad", "note", "good").index(one.level))


def _cameras(health: Mapping[str, Any]) -> Iterator[HealthSentence]:
    overloaded = health.get("overloaded", {})
    for name, state in health.get("cameras", {}).items():
        about = f"Camera {name}"
        if state == "disabled":
            yield HealthSentence("note", about, "is switched off by request.")
        elif state != "online":
            yield HealthSentence("bad", about, f"is {state}: no pictures come from it.")
        elif name in health.get("failing", ()):
            yield HealthSentence("bad", about, "sends pictures that cannot be processed: the log has the reason.")
        elif name in overloaded:
            rates = overloaded[name]
            text = f"sends {rates['given']} pictures a second, of which this machine takes {rates['taken']}."
            yield HealthSentence("note", about, text)
        else:
            yield HealthSentence("good", about, "is online.")


def _stages(health: Mapping[str, Any]) -> Iterator[HealthSentence]:
    for late in health.get("late", ()):
        yield HealthSentence("bad", "Progress", f"{late}.")


def _broker(health: Mapping[str, Any]) -> Iterator[HealthSentence]:
    broker, queue = health.get("broker", {}), health.get("queue", {})
    if broker.get("online"):
        yield HealthSentence("good", "Broker", f"is connected, with MQTT {broker.get('version')}.")
    else:
        fault = broker.get("fault") or "no connection yet"
        yield HealthSentence("bad", "Broker", f"is not connected ({fault}). Events wait on this device.")
    for limit in broker.get("limits", ()):
        yield HealthSentence("note", "Broker", f"{limit}.")
    if rows := queue.get("rows"):
        yield HealthSentence(
            "note", "Outbox", f"{rows} messages wait for the broker ({_bytes(queue.get('bytes', 0))})."
        )
    if queue.get("in_memory"):
        yield HealthSentence("bad", "Outbox", "cannot be written to the disk: a crash would lose what waits.")
    lost = {kind: count for kind, count in health.get("lost", {}).items() if count}
    if lost:
        listed = ", ".join(f"{count} {kind}" for kind, count in lost.items())
        yield HealthSentence("note", "Outbox", f"has lost, since its file was made: {listed}.")


def _history(history: Mapping[str, Any] | None) -> Iterator[HealthSentence]:
    if history is None:
        yield HealthSentence("note", "History", "is off: set enabled = true in [history] to keep events.")
        return
    if history.get("fault"):
        yield HealthSentence("bad", "History", f"{history['fault']}.")
    kept = f"holds {history.get('events')} events and {history.get('clips')} clips, {_bytes(history.get('bytes', 0))}."
    yield HealthSentence("good", "History", kept)
    if lost := history.get("lost"):
        yield HealthSentence("note", "History", f"could not keep {lost} entries.")


def _runtime(runtime: Mapping[str, Any] | None) -> Iterator[HealthSentence]:
    if runtime is None:
        return
    yield HealthSentence("good", "Network", f"is run by {runtime.get('name')}.")
    if fallback := runtime.get("fallback"):
        yield HealthSentence("note", "Network", f"{fallback}.")


def _hardware(health: Mapping[str, Any]) -> Iterator[HealthSentence]:
    hardware, throttle = health.get("hardware", {}), health.get("throttle", {})
    known = {name: value for name, value in hardware.get("temperatures_c", {}).items() if value is not None}
    if known:
        hottest = max(known, key=lambda name: known[name])
        yield HealthSentence("good", "Temperature", f"{known[hottest]:.0f} °C at the hottest sensor ({hottest}).")
    if share := throttle.get("skipped"):
        yield HealthSentence("bad", "Temperature", f"{share:.0%} of all pictures are skipped against heat.")
    memory = hardware.get("memory", {})
    if memory.get("total_mib") and memory.get("available_mib") is not None:
        free = memory["available_mib"] / memory["total_mib"]
        level: HealthLevel = "note" if free < 0.1 else "good"
        yield HealthSentence(level, "Memory", f"{free:.0%} of {memory['total_mib'] / 1024:.1f} GB is free.")
    if health.get("clock_synced") is False:
        yield HealthSentence("note", "Clock", "is not set by a time server: times of events may be wrong.")


def _bytes(count: float) -> str:
    for size, unit in BYTE_UNITS:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"
