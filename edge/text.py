"""Text files as editors save them, and text that is safe to compare and to print. Pure."""

import unicodedata
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Callable, Sequence
from itertools import pairwise

# Windows writes UTF-16 and calls it Unicode; where one mark begins with another, the longer one comes first
OTHER_ENCODINGS = (
    (BOM_UTF32_LE, "UTF-32"),
    (BOM_UTF32_BE, "UTF-32"),
    (BOM_UTF16_LE, 'UTF-16 (in Notepad "Unicode" or "UTF-16 LE")'),
    (BOM_UTF16_BE, 'UTF-16 (in Notepad "Unicode big endian" or "UTF-16 BE")'),
)

MAX_LENGTH = 2000  # characters of a message
BOM_CHARACTER = "\ufeff"  # the byte order mark, decoded
JOINERS = "\u200c\u200d"  # invisible but part of words in Persian, Hindi and other languages, and of emoji
HIDDEN = (
    "Cc",
    "Cf",
    "Cs",
    "Zl",
    "Zp",
)  # Unicode categories of invisible characters, line ends and changes of direction
BOMS = (BOM_UTF8, *(mark for mark, _ in OTHER_ENCODINGS))


Notify = Callable[[str], None]  # takes a sentence for a log or a terminal


class TextError(ValueError):
    """Bytes that are not UTF-8; the message completes a sentence that begins with the file's name."""


def decode_utf8(content: bytes) -> str:
    """Decode UTF-8 and drop byte order marks. Raises TextError, which names the other encoding."""
    for mark, name in OTHER_ENCODINGS:
        if content.startswith(mark):
            raise TextError(f"is saved as {name}; save it as UTF-8")
    if content[:2].count(0) == 1:  # an ASCII letter in UTF-16 without a mark
        raise TextError("is saved as UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8").lstrip(BOM_CHARACTER)  # tools that append write a second one
    except UnicodeDecodeError as error:
        raise TextError(f"is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def to_nfc(name: str) -> str:
    """A name in Unicode's composed form (NFC), in which names are compared: é is one character, however it was typed.

    macOS names files in the decomposed form, in which é is an e and an accent; the two look the same.
    """
    return unicodedata.normalize("NFC", name)


def near_duplicates(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of names, sorted, that differ only in case, surrounding blanks or Unicode form."""
    keys = sorted((to_nfc(name).strip().casefold(), place) for place, name in enumerate(names))
    return [(names[one], names[two]) for (key, one), (other, two) in pairwise(keys) if key == other]


def is_visible_line(text: str) -> bool:
    """Whether a text is one line without invisible characters.

    `str.isprintable` also refuses wide and non-breaking spaces, and characters newer than this Python.
    """
    return all(letter in JOINERS or unicodedata.category(letter) not in HIDDEN for letter in text)


def shortened(text: str) -> str:
    """A text, without its middle if it is very long: a file may hold a name of millions of letters."""
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH // 2]} […] {text[-MAX_LENGTH // 2 :]}"


def sanitized(text: str) -> str:
    """The text with control characters replaced by question marks: they could steer a terminal or forge log lines."""
    return "".join("?" if unicodedata.category(letter) == "Cc" else letter for letter in text)


def first_line(message: object) -> str:
    """The first line of an error's message, cut to 200 characters: libraries raise whole paragraphs."""
    return str(message).strip().split("\n", 1)[0][:200]
