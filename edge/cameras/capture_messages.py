"""What a capture process tells its parent, as one message over their channel. Pure.

A message that is cut off or garbled means nothing, so a sentence has a length that always fits.
"""

import json
from dataclasses import asdict, dataclass

MESSAGE_BYTES = 1 << 17  # from the process; more than MOST_LETTERS as JSON, of which each letter may take twelve bytes
REQUEST_BYTES = 1 << 18  # to the process: a source, with all the polygons that a configuration may give it
MAX_CHARACTERS = 2000  # of a sentence
OPENING, FRAME = b"opening", b"frame"


@dataclass(frozen=True)
class WorkerMessage:
    """What ended it (`fault`), how the camera was opened (`through`, `transport`), what else to log (`note`)."""

    fault: str | None = None
    through: str | None = None
    transport: str | None = None
    note: str | None = None


def encode(message: WorkerMessage) -> bytes:
    """A message of at most MESSAGE_BYTES; of a longer text the middle is left out."""
    texts = {name: _cut(text) for name, text in asdict(message).items() if text is not None}
    return json.dumps(texts).encode()


def decode(message: bytes) -> WorkerMessage:
    """The other way round, on one line. ValueError for what is no such message."""
    content = json.loads(message)
    if not isinstance(content, dict):
        raise ValueError("a message is an object")
    texts = {name: content.get(name) for name in ("fault", "through", "transport", "note")}
    if any(text is not None and not isinstance(text, str) for text in texts.values()):
        raise ValueError("a message holds texts")
    return WorkerMessage(**{name: _cut(_line(text)) for name, text in texts.items() if text is not None})


def _line(text: str) -> str:
    """For the log, where a process that a camera has taken over must not write lines of its own."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _cut(text: str) -> str:
    """Its middle is left out: a sentence begins with what it is about and ends with the cure."""
    half = MAX_CHARACTERS // 2
    return text if len(text) <= MAX_CHARACTERS else f"{text[: half - 1]}…{text[-half:]}"
