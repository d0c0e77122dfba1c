"""docs/mqtt-reference.md: the AsyncAPI document for people. Pure."""

from collections.abc import Iterator
from typing import Any

from scripts.reference.schema_words import rows, type_words

HEAD = """# MQTT reference

All topics with their payloads; made from [asyncapi.json](asyncapi.json), an AsyncAPI 3 document, by
`python -m scripts.reference`. How messages are delivered, what events mean, and how requests are answered:
[mqtt.md](mqtt.md).

Where a part of a topic varies:

"""
TABLE = "\n| topic | message | retained | QoS | by |\n|---|---|---|---|---|\n"
KEYS = "\n| key | value | |\n|---|---|---|\n"
DIRECTIONS = {"send": "the device", "receive": "you"}


def page(described: dict[str, Any]) -> str:
    """The whole page as Markdown."""
    channels = described["channels"]
    parameters = {name: part for one in channels.values() for name, part in one["parameters"].items()}
    varying = "".join(f"- `{{{name}}}`: {part['description']}\n" for name, part in parameters.items())
    overview = "".join(_row(key, channel, described) for key, channel in channels.items())
    return HEAD + varying + TABLE + overview + "".join(_section(key, described) for key in channels)


def _row(key: str, channel: dict[str, Any], described: dict[str, Any]) -> str:
    sent = described["operations"].get(key)
    bindings = sent["bindings"]["mqtt"] if sent else {"qos": 1, "retain": False}
    topic = _shortened(channel["address"])
    summary = channel["summary"].partition(". Its `data`")[0].removesuffix(".")
    direction = DIRECTIONS[sent["action"] if sent else "send"]
    retained = "yes" if bindings["retain"] else "no"
    return f"| [`{topic}`](#{key.lower()}) | {summary} | {retained} | {bindings['qos']} | {direction} |\n"


def _shortened(address: str) -> str:
    return address.removeprefix("{base}/{device}/")


def _section(key: str, described: dict[str, Any]) -> str:
    channel, message = described["channels"][key], described["components"]["messages"][key]
    text = f"\n## {key}\n\n`{channel['address']}` · {message['contentType']}\n\n{channel['summary']}"
    if note := message.get("description"):
        text += f" {note}"
    if properties := message.get("headers", {}).get("properties"):
        text += f" User properties of MQTT 5: {', '.join(f'`{name}`' for name in properties)}."
    if reply := described["operations"].get(key, {}).get("reply"):
        answer = reply["channel"]["$ref"].rsplit("/", 1)[1]
        text += f" It is answered at [{answer}](#{answer.lower()})."
    return text + "\n" + "".join(_payload(message["payload"], described))


def _payload(payload: dict[str, Any], described: dict[str, Any]) -> Iterator[str]:
    if "$ref" not in payload:
        return
    schema = described["components"]["schemas"][payload["$ref"].rsplit("/", 1)[1]]
    keys = list(rows(schema))
    if not keys:
        yield f"\nValue: {type_words(schema)}. {schema.get('description', '')}\n"
        return
    yield KEYS
    for path, words, description in keys:
        yield f"| `{path}` | {_cell(words)} | {_cell(description)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
