"""All topics of a device: who publishes them, how, and with which payload. Pure.

Addresses come from `edge.broker.topics`, requests from `edge.broker.requests`, payloads from docs/*.schema.json.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from edge.broker.home_assistant import discovery_topic
from edge.broker.requests import OPS
from edge.broker.topics import Topics, label
from edge.config.edit import tunable_keys

TOPICS = Topics("{base}", "{device}")
CAMERA, ACTION = "{camera}", "{action}"
JPEG, TEXT, JSON = "image/jpeg", "text/plain", "application/json"

PARAMETERS = {
    "base": "`[mqtt] base`, by default `korsal`; levels of A-Z a-z 0-9 _ - joined by `/`.",
    "device": "`[device] name`, by default `korsal-edge`.",
    "camera": "Name of the camera in config.toml.",
    "action": "The model's label; characters other than A-Z a-z 0-9 _ - are percent-encoded.",
    "op": "What was asked for.",
    "prefix": "`[mqtt] discovery_prefix`, by default `homeassistant`.",
}
REQUESTS = {
    "health": ("Request", "Asks for the state of the device, connection and queue included."),
    "reload": ("Request", "Has config.toml read again, as SIGHUP does; an invalid file changes nothing."),
    "config-get": ("Request", "Asks for the configuration in force, without logins, key files and credentials."),
    "config-set": ("ConfigRequest", "Changes config.toml and applies it; needs `[mqtt] allow_remote_config`."),
    "snapshot": ("SnapshotRequest", "Asks for a picture of a camera's next frame; needs `[mqtt] snapshots`."),
    "camera": ("CameraRequest", "Switches a camera off, or on; needs `[mqtt] allow_camera_switch`."),
    "clips": ("ClipsRequest", "Lists the clips to teach with; needs `[teaching] allow_fetch`."),
    "clip": ("ClipRequest", "Asks for a piece of one of these clips; needs `[teaching] allow_fetch`."),
}
UNKNOWN = "The answer to a request that does not exist: an error that names those that do."
RESPONSES = {"health": "HealthResponse", "clips": "ClipsResponse", "clip": "ClipResponse"}  # the others: Response


@dataclass(frozen=True)
class Channel:
    """One topic. `schema`: file and name in it of the payload, None of a picture; `answer`: the channel of its answer.

    `action`: of the device, as AsyncAPI has it; `clearable`: an empty message may be published to remove it.
    `properties`: its user properties of MQTT 5.
    """

    key: str
    address: str
    summary: str
    schema: tuple[str, str] | None
    content: str = JSON
    action: Literal["send", "receive"] = "send"
    qos: Literal[0, 1] = 1
    retain: bool = False
    answer: str | None = None
    clearable: bool = False
    properties: tuple[str, ...] = ()


def channels() -> tuple[Channel, ...]:
    """All of them, events first."""
    return (*_events(), *_cameras(), *_device(), *_requests(), *_responses())


def _message(name: str) -> tuple[str, str]:
    return "messages.schema.json", name


def _events() -> tuple[Channel, ...]:
    event, heat = label(TOPICS.event(CAMERA, ACTION)), TOPICS.device_event("thermal")
    step = partial(Channel, properties=("event_id", "seq", "type"))
    return (
        step("event", event, "One step of one event: an action of one person.", ("event.schema.json", "Event")),
        step("thermal", heat, "Frames are skipped because of heat.", ("device-event.schema.json", "DeviceEvent")),
    )


def _cameras() -> tuple[Channel, ...]:
    active = "Number of running events by action, published whenever one begins or ends."
    thresholds = "Scores at which events begin and continue, by action."
    people = "Number of people detected, at most once a second."
    kept = partial(Channel, retain=True, clearable=True)
    return (
        kept("cameraState", TOPICS.state(CAMERA), "State of the camera.", _message("CameraState"), TEXT),
        kept("active", TOPICS.active(CAMERA), active, _message("Active")),
        kept("thresholds", TOPICS.thresholds(CAMERA), thresholds, _message("Thresholds")),
        kept("people", TOPICS.people(CAMERA), people, _message("People"), qos=0),
        *_pictures(),
    )


def _pictures() -> tuple[Channel, ...]:
    of_event = "JPEG of the newest event of this action, with `[mqtt] snapshots`."
    picture = partial(Channel, schema=None, content=JPEG, qos=0, retain=True, clearable=True)
    return (
        picture("eventPicture", label(TOPICS.snapshot(CAMERA, ACTION)), of_event, properties=("event_id",)),
        picture("picture", TOPICS.snapshot(CAMERA), "JPEG of one frame, on request."),
    )


def _device() -> tuple[Channel, ...]:
    lost = "What was not delivered, by kind; only once something was lost."
    status = "Version, model, labels, configuration, cameras, state of the connection."
    telemetry = "Rates, latencies, losses, temperatures, memory, every `[telemetry] interval`."
    announced = "Home Assistant discovery, with `[mqtt] discovery = true`."
    home = discovery_topic(TOPICS, "{prefix}")
    started = "Home Assistant has started: what is retained is published once more, with `[mqtt] discovery = true`."
    alive = "Whether the device is connected; also the last will."
    return (
        Channel("available", TOPICS.available, alive, _message("Available"), TEXT, retain=True),
        Channel("status", TOPICS.status, status, _message("Status"), retain=True),
        Channel("telemetry", TOPICS.telemetry, telemetry, _message("Telemetry"), qos=0),
        Channel("lost", TOPICS.lost, lost, _message("Lost"), retain=True),
        Channel("discovery", home, announced, _message("Discovery"), retain=True),
        Channel("homeStatus", "{prefix}/status", started, _message("Available"), TEXT, action="receive"),
    )


def _requests() -> tuple[Channel, ...]:
    found = []
    for op in OPS:
        schema, summary = REQUESTS[op]
        if op == "config-set":
            keys = ", ".join(f"`{'.'.join(path)}`" for path in tunable_keys())
            summary = f"{summary} Its `data` may hold {keys}, and what is below them."
        address, key = TOPICS.request(op), _camel(op)
        schema_of = _message(schema)
        answer = f"{key}Response"
        found.append(Channel(f"{key}Request", address, summary, schema_of, action="receive", answer=answer))
    return tuple(found)


def _responses() -> tuple[Channel, ...]:
    unknown = Channel("unknownResponse", TOPICS.response("{op}"), UNKNOWN, _message("Response"))
    known = tuple(
        Channel(
            f"{_camel(op)}Response",
            TOPICS.response(op),
            "The answer, unless the request names a response topic of MQTT 5.",
            _message(RESPONSES.get(op, "Response")),
        )
        for op in OPS
    )
    return (*known, unknown)


def _camel(op: str) -> str:
    """`config-set` as `configSet`."""
    first, *rest = op.split("-")
    return first + "".join(word.capitalize() for word in rest)
