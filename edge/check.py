"""`korsal-edge check`: is this configuration usable? Every mistake at once, or what it means. Shell."""

from pathlib import Path

from edge.config import ConfigError, load
from edge.engines.runtimes import open_at_terminal
from edge.inference import Engine
from edge.schema import Config, Mqtt
from edge.settings import topics, unknown_actions


def check(path: Path) -> int:
    """Print what the configuration means; 0.

    Raises ConfigError with all problems, AssetError and EngineError for a model that cannot be run.
    """
    config = load(path)
    with open_at_terminal(config) as engine:
        wrong = unknown_actions(config, engine.manifest.labels)
        if wrong:
            raise ConfigError(path, wrong)
        print(f"{path} is valid")
        for line in _summary(config, engine):
            print(f"  {line}")
    return 0


def _summary(config: Config, engine: Engine) -> list[str]:
    manifest = engine.manifest
    cameras = [
        f"camera {name}: {camera.described().redacted}, zones: {', '.join(camera.zones) or 'none'}"
        for name, camera in config.cameras.items()
    ]
    return [
        f"model {manifest.name}, {manifest.width}x{manifest.height}, {engine.runtime}: {', '.join(manifest.labels)}",
        *cameras,
        f"broker {_broker(config.mqtt)}, topics below {topics(config).root}",
    ]


def _broker(settings: Mqtt) -> str:
    version = {5: "5", 3: "3.1.1"}[settings.version]
    return f"{settings.host}:{settings.port}, MQTT {version}, {'TLS' if settings.tls else 'no TLS'}"
