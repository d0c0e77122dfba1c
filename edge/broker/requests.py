"""Requests over MQTT: how they are read and answered. Pure.

A request is published at `<base>/<device>/request/<op>`, its answer at `<base>/<device>/response/<op>`, or at the
response topic of MQTT 5. Invalid requests are answered with an error; none of them raises.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from edge.broker.topics import Topics, encode, level
from edge.config.error_messages import suggestion
from edge.config.schema import MqttConfig
from edge.text import TextError, decode_utf8

MAX_REQUEST_BYTES = 65_535  # bytes of a request's payload
LONGEST_OP = 64  # characters of a request's name that are quoted
LONGEST_TRANSACTION = 256  # bytes of its JSON
LONGEST_TOPIC = 512  # bytes
MOST_LEVELS = 32  # of a topic; mosquitto disconnects clients that publish at more than 200, others at fewer
LONGEST_ERROR = 4096  # characters
OPS = ("health", "reload", "config-get", "config-set", "snapshot", "camera", "clips", "clip")
PIECE = 32 * 1024  # bytes of a clip in one answer, unless asked otherwise


class RequestError(Exception):
    """A request that cannot be carried out; the message says why, and the remedy."""


@dataclass(frozen=True)
class Request:
    """One message at `request/<op>`. `payload`: None where it is too large; the last two are of MQTT 5."""

    op: str
    payload: bytes | None
    retained: bool = False
    response_topic: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True)
class Response:
    """What to publish, and where. `correlation`: the correlation data of MQTT 5."""

    topic: str
    payload: bytes
    correlation: bytes | None = None


class RequestHandler(Protocol):
    """What a running device can be asked. Problems are sentences; none means success."""

    def health(self) -> Mapping[str, object]:
        """The state of the device."""

    def reload(self) -> Sequence[str]:
        """Read the configuration again; its problems."""

    def configuration(self) -> Mapping[str, object]:
        """The configuration in force, secrets left out."""

    def store(self, changes: Mapping[str, object]) -> Sequence[str]:
        """Write changes into the file and apply them; their problems."""

    def snapshot(self, camera: str) -> str | None:
        """Publish this camera's next frame; why not, or None."""

    def switch_camera(self, camera: str, enabled: bool) -> Mapping[str, object]:
        """Switch a camera on or off; the answer's data. Raises RequestError where it cannot."""

    def clips(self, after: str) -> Mapping[str, object]:
        """The clips to teach with whose names follow `after`. Raises RequestError where that is not allowed."""

    def clip(self, name: str, offset: int, length: int) -> Mapping[str, object]:
        """A piece of one, from a byte on. Raises RequestError where there is none, or that is not allowed."""


@dataclass(frozen=True)
class _Body:
    """The content of a payload; `fault`: why the request cannot be carried out, None where it can."""

    transaction: object = None
    data: object = None
    fault: str | None = None


def answer(request: Request, handler: RequestHandler, topics: Topics, settings: MqttConfig) -> Response:
    """Carry out a request, if it is valid and allowed, and report the result."""
    body = _read(request)
    data: object = None
    fault = body.fault
    if fault is None:
        try:
            data = _carry_out(request.op, body.data, handler, settings)
        except RequestError as error:
            fault = str(error)
    response = {
        "status": "ok" if fault is None else "error",
        "data": data,
        "error": None if fault is None else _plain(fault),
        "transaction": body.transaction,
    }
    return Response(_response_topic(request, topics, settings), encode(response), request.correlation)


def answer_too_large(payload: bytes) -> bytes:
    """The error in place of an answer that is too large for the broker."""
    error = f"the answer is too large for the broker ({len(payload)} bytes): raise its max_packet_size"
    transaction = json.loads(payload)["transaction"]
    return encode({"status": "error", "data": None, "error": error, "transaction": transaction})


def _carry_out(op: str, data: object, handler: RequestHandler, settings: MqttConfig) -> object:
    """The answer's data. Raises RequestError."""
    if op == "health":
        return dict(handler.health())
    if op == "config-get":
        return dict(handler.configuration())
    if op == "camera":
        return dict(_switch_camera(data, handler, settings))
    if op in ("clips", "clip"):
        return dict(_list_clips(data, handler) if op == "clips" else _read_clip(data, handler))
    if op == "snapshot":
        _take_snapshot(data, handler, settings)
    else:
        problems = handler.reload() if op == "reload" else _change(data, handler, settings)
        if problems:
            raise RequestError("; ".join(problems))
    return None


def _change(data: object, handler: RequestHandler, settings: MqttConfig) -> Sequence[str]:
    if not settings.allow_remote_config:
        raise RequestError("remote changes are not allowed: set [mqtt] allow_remote_config = true")
    if not isinstance(data, dict) or not data:
        raise RequestError(
            'nothing to change: send {"data": {"actions": {"default": {"start_score": 0.3}}}} or the like'
        )
    return handler.store(data)


def _take_snapshot(data: object, handler: RequestHandler, settings: MqttConfig) -> None:
    if not settings.snapshots:
        raise RequestError("pictures are disabled: set [mqtt] snapshots = true")
    camera = data.get("camera") if isinstance(data, dict) else None
    if not isinstance(camera, str):
        raise RequestError('which camera? Send {"data": {"camera": "NAME"}}')
    fault = handler.snapshot(camera)
    if fault is not None:
        raise RequestError(fault)


def _switch_camera(data: object, handler: RequestHandler, settings: MqttConfig) -> Mapping[str, object]:
    if not settings.allow_camera_switch:
        raise RequestError("switching cameras is not allowed: set [mqtt] allow_camera_switch = true")
    camera, enabled = (data.get("camera"), data.get("enabled")) if isinstance(data, dict) else (None, None)
    if not isinstance(camera, str) or not isinstance(enabled, bool):
        raise RequestError('which camera, on or off? Send {"data": {"camera": "NAME", "enabled": false}}')
    return handler.switch_camera(camera, enabled)


def _list_clips(data: object, handler: RequestHandler) -> Mapping[str, object]:
    after = data.get("after", "") if isinstance(data, dict) else ""
    if not isinstance(after, str):
        raise RequestError('after which clip? Send {"data": {"after": "NAME"}}, or nothing')
    return handler.clips(after)


def _read_clip(data: object, handler: RequestHandler) -> Mapping[str, object]:
    given = data if isinstance(data, dict) else {}
    name, offset, length = given.get("name"), given.get("offset", 0), given.get("length", PIECE)
    numbers = all(type(number) is int and number >= 0 for number in (offset, length))
    if not isinstance(name, str) or not numbers or not 0 < length <= 2**31 or offset > 2**62:
        raise RequestError('which clip, from which byte on? Send {"data": {"name": "NAME", "offset": 0}}')
    return handler.clip(name, offset, length)


def _read(request: Request) -> _Body:
    """A payload is a JSON object with the keys `transaction` and `data`, both optional; empty it is `{}`."""
    if request.payload is None:
        return _Body(fault=f"the request is too large: {MAX_REQUEST_BYTES} bytes at most")
    try:
        document = json.loads(decode_utf8(request.payload) or "{}", parse_constant=_no_constant)
    except TextError as error:
        return _Body(fault=f"not JSON: the payload {error}")
    except (ValueError, RecursionError):
        return _Body(fault='not JSON: send {"transaction": 1, "data": {}}, or nothing')
    if not isinstance(document, dict):
        return _Body(fault='a request is an object: send {"transaction": 1, "data": {}}, or nothing')
    body = _Body(document.get("transaction"), document.get("data"))
    if not _can_be_echoed(body.transaction):
        return _Body(fault=f"transaction should be text, number, true, false or null of {LONGEST_TRANSACTION} bytes")
    return replace(body, fault=_fault(request, document))


def _fault(request: Request, document: Mapping[str, object]) -> str | None:
    """What is wrong with a request that could be read."""
    if request.retained:
        return "retained requests are ignored: publish it without the retain flag, and clear what is retained there"
    if request.op not in OPS:
        return f"unknown request {request.op[:LONGEST_OP]}; {suggestion(request.op[:LONGEST_OP], OPS)}"
    unknown = [key for key in document if key not in ("transaction", "data")]
    return f"unknown key {unknown[0][:64]}: a request has transaction and data" if unknown else None


def _can_be_echoed(transaction: object) -> bool:
    if not isinstance(transaction, str | int | float | None):
        return False
    try:
        return len(encode({"": transaction})) <= LONGEST_TRANSACTION
    except ValueError:  # beyond a float's range, or half a character
        return False


def _response_topic(request: Request, topics: Topics, settings: MqttConfig) -> str:
    """Where to answer: as requested, unless that could make us publish as ourselves or as another device."""
    wanted = request.response_topic
    if wanted is not None and _is_harmless(wanted, topics, settings):
        return wanted
    return topics.response(level(request.op[:LONGEST_OP]))


def _is_harmless(topic: str, topics: Topics, settings: MqttConfig) -> bool:
    if not topic.isprintable() or "+" in topic or "#" in topic or topic.startswith("$"):
        return False
    if not 0 < len(topic.encode("utf-8", "replace")) <= LONGEST_TOPIC or topic.count("/") >= MOST_LEVELS:
        return False
    ours = any(f"{topic}/".startswith(f"{root}/") for root in (topics.base, settings.discovery_prefix))
    return not ours or topic.startswith(f"{topics.response('')}")


def _plain(sentence: str) -> str:
    """A sentence of limited length that is UTF-8 whatever it quotes."""
    return sentence[:LONGEST_ERROR].encode("utf-8", "replace").decode("utf-8")


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
