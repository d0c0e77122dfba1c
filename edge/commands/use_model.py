"""`korsal-edge models --use`: names another model in `config.toml`, whose comments and old content are kept. Shell."""

import os
from collections.abc import Iterator
from pathlib import Path

from edge import files, model_files
from edge.config import toml_text
from edge.config.config_file import ConfigError, parse
from edge.config.toml_text import TomlEditError
from edge.inference import EngineError
from edge.memory_opening import require_memory
from edge.service.settings import unknown_actions
from edge.terminal import progress
from edge.text import TextError, decode_utf8

BEFORE = ".before"  # what the name of the kept file ends in


def use(config: Path, model: Path) -> Iterator[str]:
    """Write the model's path into the configuration; yields what was done and what comes next.

    The file stays as it is where the model or its memory cannot be read, or the configuration would not fit it. Raises
    ConfigError, EngineError.
    """
    named = model_files.read(model)
    if named is None:
        raise EngineError(f"{model}: is no ONNX file with a manifest; give one that korsal-convert or run wrote")
    require_memory(model, named.manifest)
    path, wanted = Path(os.path.realpath(config)), str(model.absolute())
    before = _content(path, config)
    content = _with_path(before, wanted, config)
    new = parse(content, config, config.absolute().parent)
    if problems := unknown_actions(new, named.manifest.labels):
        raise ConfigError(config, tuple(problems))
    if content == before:
        yield f"{config}: names {wanted} already"
        return
    kept = path.with_name(path.name + BEFORE)
    try:
        files.write_atomically(kept, before, keep_owner=True)
        os.chmod(kept, path.stat().st_mode & 0o777)
        files.write_atomically(path, content, keep_owner=True)
    except OSError as error:
        raise ConfigError(config, (f"cannot be written ({error.strerror}); run this as its owner",)) from error
    yield f"{config}: model.path is {wanted}, {named.manifest.name}: {', '.join(named.manifest.labels)}"
    yield f"{kept}: what it was before"
    yield progress.next_step("korsal-edge", "check", "--config", config) + ", then restart the service"


def _content(path: Path, config: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(config, (f"cannot be read ({error.strerror}); name another with --config",)) from error


def _with_path(content: bytes, wanted: str, config: Path) -> bytes:
    try:
        text = decode_utf8(content)
        toml_text.parse(text)
        return toml_text.with_value(text, ("model", "path"), wanted).encode()
    except TextError as error:
        raise ConfigError(config, (str(error),)) from error
    except (TomlEditError, ValueError) as error:
        raise ConfigError(config, (f"model.path cannot be written there ({error}); edit it by hand",)) from error
