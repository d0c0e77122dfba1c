"""`korsal-edge models`: prints the model's files, and which of them runs on which device. Shell."""

from pathlib import Path

from edge import model_files
from edge.config import config_file
from edge.config.schema import ModelConfig, OutboxConfig
from edge.doctor.doctor import INSTALLED, SERVICE_STATE
from edge.engines.tensorrt_engine import is_engine_file
from edge.inference import EngineError
from edge.model_listing import listed


def models(config: Path | None) -> int:
    """Print the files of the model in `config`, None for the shipped one.

    Raises AssetError, ConfigError, EngineError.
    """
    loaded = None if config is None else config_file.load(config)
    settings, outbox = (loaded.model, loaded.outbox) if loaded else (ModelConfig(), OutboxConfig())
    path = config_file.model_path(settings)
    named = None if is_engine_file(path) else model_files.read(path)
    if named is None:
        raise EngineError(
            f"{path}: is no ONNX file with a manifest, which is all that can be listed; korsal-edge check opens it"
        )
    for line in listed(named, settings, _state(config, outbox)):
        print(line)
    return 0


def _state(config: Path | None, outbox: OutboxConfig) -> Path:
    """The directory that keeps engines: of the installed service, its own, which only root and it may look into."""
    if config is not None and config.absolute() == INSTALLED and outbox.directory is None:
        return Path(SERVICE_STATE)
    return config_file.state_directory(outbox)
