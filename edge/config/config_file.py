"""Reads `config.toml` into frozen settings and reports every problem at once. Shell."""

import hashlib
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge.config import toml_text
from edge.config.error_messages import MAX_MESSAGES
from edge.config.old_keys import replace_old_keys
from edge.config.schema import Config, ModelConfig, OutboxConfig
from edge.config.validation import validate
from edge.files import existing_path
from edge.shipped_files import asset_path
from edge.sources import is_plain_path, redact
from edge.stream_url import looks_like_url
from edge.text import TextError, decode_utf8, sanitized

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

log = logging.getLogger(__name__)

MAX_BYTES = 262_144  # of a file: a reload reads it between two frames
SHIPPED_MODEL = "models/korsal-lite-ucf24x5-jhmdb21.onnx"
FILE_KEYS = (
    ("model", "path"),
    ("mqtt", "password_file"),
    ("mqtt", "tls", "ca"),
    ("mqtt", "tls", "cert"),
    ("mqtt", "tls", "key"),
    ("web", "password_file"),
    ("web", "cert"),
    ("web", "key"),
)
FOLDER_KEY = ("outbox", "directory")  # created if it does not exist


class ConfigError(Exception):
    """A configuration that cannot be used. `problems`: one sentence each, beginning with the key's path.

    `usable` and `renamed` are those of its `Validation`.
    """

    def __init__(
        self,
        path: Path,
        problems: tuple[str, ...],
        usable: Config | None = None,
        renamed: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.path = path
        if len(problems) > MAX_MESSAGES:
            problems = (*problems[:MAX_MESSAGES], "and more problems; fix these first")
        self.problems = problems
        self.usable, self.renamed = usable, renamed
        super().__init__("\n".join(f"{path}: {problem}" for problem in self.problems))


def load(path: str | Path) -> Config:
    """Read, check and complete a configuration file. Relative paths in it start at its folder.

    Raises ConfigError with all problems at once.
    """
    path = Path(path)
    return parse(_read(path), path, path.absolute().parent)


def parse(content: bytes, path: Path, folder: Path) -> Config:
    """Check and complete the content of the file at `path`. Relative paths in it start at `folder`.

    Raises ConfigError with all problems at once.
    """
    document = _document(content, path)
    if replaced := replace_old_keys(document):
        log.warning("%s: %s", path, sanitized(replaced))
    missing = tuple(_resolve(document, folder))
    found = validate(document)
    if found.problems or missing or found.usable is None:
        raise ConfigError(path, found.problems + missing, found.usable, found.renamed)
    return found.usable


def fingerprint(config: Config) -> str:
    """A hash of all settings but credentials, 12 hexadecimal digits."""
    settings = config.model_dump(mode="json")
    for camera in settings["cameras"].values():
        camera["source"] = redact(camera["source"])
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def model_path(model: ModelConfig) -> Path:
    """The configured model, else the shipped one. Raises AssetError if that is missing."""
    return model.path or asset_path(SHIPPED_MODEL)


def state_directory(outbox: OutboxConfig) -> Path:
    """The directory of the outbox and of TensorRT's engines: as configured, else systemd's or the user's."""
    if outbox.directory is not None:
        return outbox.directory
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")) / "korsal-edge"


def _read(path: Path) -> bytes:
    """The file's content, one byte more than MAX_BYTES at most."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        problem = "no such file; copy the shipped config.toml there, or name another with --config"
    except OSError as error:
        problem = f"cannot be read ({error.strerror}); name a readable file with --config"
    raise ConfigError(path, (problem,))


def _document(content: bytes, path: Path) -> dict[str, Any]:
    """The content as TOML. Raises ConfigError."""
    try:
        if len(content) > MAX_BYTES:
            problem = f"is larger than {MAX_BYTES >> 10} KiB; draw zones and masks with fewer points"
        elif _is_deep(document := toml_text.parse(decode_utf8(content))):
            problem = "is nested too deeply; write flat tables as the shipped config.toml does"
        else:
            json.dumps(document, default=str)  # fails for numbers of thousands of digits
            return document
    except TextError as error:
        problem = str(error)
    except tomllib.TOMLDecodeError as error:
        problem = f"is not TOML: {error}; fix that line"
    except ValueError:
        problem = "holds a number of thousands of digits; remove it"
    except (toml_text.NestingError, RecursionError):
        problem = "is nested too deeply; write flat tables as the shipped config.toml does"
    raise ConfigError(path, (problem,))


def _is_deep(document: dict[str, Any]) -> bool:
    """Whether tables nest deeper than the stack allows: a short text of dotted keys can do that."""
    level: list[Any] = [document]
    for _ in range(toml_text.MAX_NESTING):
        tables = [value for table in level if isinstance(table, dict) for value in table.values()]
        level = [*tables, *(value for array in level if isinstance(array, list) for value in array)]
    return any(isinstance(value, dict | list) for value in level)


def _resolve(document: dict[str, Any], folder: Path) -> list[str]:
    """Make the document's paths absolute, in place; returns a sentence for each missing file and each URL."""
    missing = []
    for keys in (*FILE_KEYS, FOLDER_KEY):
        text = _table(document, keys[:-1]).get(keys[-1])
        if isinstance(text, str) and looks_like_url(text):  # not repeated: it may contain a login
            kind = "folder" if keys == FOLDER_KEY else "file"
            missing.append(f"{'.'.join(keys)}: is an address, not a {kind}; correct the path or leave the key out")
            continue
        file = _absolute(document, keys, folder)
        if file is not None and keys != FOLDER_KEY and not os.path.isfile(file):
            missing.append(f"{'.'.join(keys)}: no such file: {file}; correct the path or leave the key out")
    for name, camera in _table(document, ("cameras",)).items():
        if isinstance(camera, dict) and _is_plain_path(camera.get("source")):
            _absolute(document, ("cameras", name, "source"), folder)
    return missing


def _is_plain_path(source: object) -> bool:
    return isinstance(source, str) and bool(source.strip()) and is_plain_path(source)


def _table(document: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """The table at a path, empty if there is none."""
    table: object = document
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else {}


def _absolute(document: dict[str, Any], keys: tuple[str, ...], folder: Path) -> Path | None:
    """Make one path absolute, in place, and return it; None for what the schema will refuse."""
    table = _table(document, keys[:-1])
    text = table.get(keys[-1])
    if not isinstance(text, str) or not text or "\0" in text:
        return None
    table[keys[-1]] = str(existing_path(folder, os.path.expanduser(text)))
    return Path(table[keys[-1]])
