"""The messages that a capture process sends to the daemon over their channel. Pure.

A truncated message cannot be read, so every sentence is cut to a length that fits.
"""

import json
from dataclasses import asdict, dataclass, fields

MESSAGE_BYTES = 1 << 17  # from the process; more than the texts as JSON, at up to twelve bytes a character
REQUEST_BYTES = 1 << 18  # to the process: a source with as many polygons as a configuration may hold
MAX_CHARACTERS = 2000  # of a sentence
OPENING, FRAME = b"opening", b"frame"


@dataclass(frozen=True)
class WorkerMessage:
    """What ended it (`fault`), how the camera was opened (`through`, `transport`), what else to log (`note`).

    `attempt`: the backend that is opened now, `alternative`: the one that would come next, or "". `service`: the one
    that has to be restarted before the camera can be opened.
    """

    fault: str | None = None
    through: str | None = None
    transport: str | None = None
    note: str | None = None
    attempt: str | None = None
    alternative: str | None = None
    service: str | None = None


def encode(message: WorkerMessage) -> bytes:
    """JSON of at most MESSAGE_BYTES; the middle of longer texts is left out."""
    texts = {name: _cut(text) for name, text in asdict(message).items() if text is not None}
    return json.dumps(texts).encode()


def decode(message: bytes) -> WorkerMessage:
    """A message out of JSON, its texts made printable and cut. Raises ValueError."""
    content = json.loads(message)
    if not isinstance(content, dict):
        raise ValueError("a message is an object")
    texts = {field.name: content.get(field.name) for field in fields(WorkerMessage)}
    if any(text is not None and not isinstance(text, str) for text in texts.values()):
        raise ValueError("a message holds texts")
    return WorkerMessage(**{name: _cut(_line(text)) for name, text in texts.items() if text is not None})


def _line(text: str) -> str:
    """The text on one line: a process that a camera has taken over must not forge lines of the log."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _cut(text: str) -> str:
    """The text, without its middle where it is too long: a sentence ends with the remedy."""
    half = MAX_CHARACTERS // 2
    return text if len(text) <= MAX_CHARACTERS else f"{text[: half - 1]}…{text[-half:]}"
