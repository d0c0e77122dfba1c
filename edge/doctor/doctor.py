"""`korsal-edge doctor`: checks everything that an installation can get wrong, a line each with its remedy. Shell.

Run by root on an installed service, it checks from the service's point of view: as its user, with its state directory
and password.
"""

import logging
import os
import pwd
import shutil
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from edge.broker.credentials import CREDENTIAL, VARIABLE, CredentialsError, password
from edge.chosen_model import first_engine, manifest_of
from edge.config.config_file import ConfigError, load, model_path, state_directory
from edge.config.schema import CameraConfig, Config, ModelConfig, MqttConfig
from edge.config.store import can_store
from edge.doctor.broker import broker
from edge.doctor.camera import argus, cameras
from edge.doctor.finding import Finding, ok, warning, wrong
from edge.doctor.host import (
    GPU_NODES,
    clips,
    clock_finding,
    clock_is_set,
    device_access,
    disk,
    hidden_files,
    motion,
    opencv,
    service,
    service_groups,
    service_state,
)
from edge.doctor.runtime import runtime
from edge.doctor.speed import speed
from edge.engines.engine_cache import EngineCache
from edge.engines.tensorrt_engine import bindings, is_engine_file
from edge.history.encoders import available
from edge.inference import EngineError, Preprocessor
from edge.open_model import ENGINE_CACHE, in_place_of_tensorrt, open_at_terminal, without_tensorrt
from edge.service.file_permissions import unsafe_permissions
from edge.service.settings import model_warnings, topics, unknown_actions
from edge.shipped_files import AssetError
from edge.tiles import USUAL_INPUT

INSTALLED = Path("/etc/korsal-edge/config.toml")
SERVICE_USER = "korsal-edge"
SERVICE_STATE = "/var/lib/korsal-edge"


def default_config() -> Path:
    """The installed service's configuration, else config.toml in the current folder."""
    return INSTALLED if INSTALLED.parent.exists() else Path("config.toml")


def doctor(path: Path) -> int:
    """Print each finding as it is made; 1 where something is wrong."""
    found = []
    with tempfile.TemporaryDirectory() as folder, without_log():
        for finding in examine(path, Path(folder)):
            print(finding.line(), flush=True)
            found.append(finding.level)
        os.environ.pop("CREDENTIALS_DIRECTORY", None)
    print(summary(found))
    return int("wrong" in found)


def summary(levels: Sequence[str]) -> str:
    """The last line: how many checks of each level."""
    return f"{len(levels)} checks, {levels.count('wrong')} wrong, {levels.count('warning')} warnings"


@contextmanager
def without_log() -> Iterator[None]:
    """Silence the log, which would repeat the findings."""
    log = logging.getLogger("edge")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def examine(path: Path, folder: Path) -> Iterator[Finding]:
    """Check everything about the configuration at `path`. `folder`: an empty one, for the service's password."""
    if os.geteuid() == 0 and path.absolute() == INSTALLED:
        yield _as_the_service(folder)
    try:
        config = load(path)
    except ConfigError as error:
        yield from (wrong(f"config {path}", problem) for problem in error.problems)
        return
    number = len(config.cameras)
    yield ok(f"config {path}", f"is valid, {number} camera{'s' * (number != 1)}")
    state = service_state()
    runs = state.get("ActiveState") == "active"
    yield from without_opening(config, path, state)
    yield from (found := runtime(config.model.runtime))
    told = [reason for one in found for reason in (one.text, one.remedy)]
    opened = yield from model(config, runs, told)
    yield motion(opened and opened.preprocessor)
    if any(camera.to_source().kind == "csi" for camera in config.cameras.values()):
        yield argus(restarts=config.restart_argus)
    known = opened or manifest_of(config.model)
    yield from cameras(config.cameras, runs, input_size=known.input_size if known else USUAL_INPUT)
    yield from credentials(config.mqtt)
    yield broker(config.mqtt, topics(config).root)
    yield clock_finding(clock_is_set())


def without_opening(config: Config, path: Path, state: Mapping[str, str]) -> Iterator[Finding]:
    """Check what takes no camera, model or connection, so that a running daemon is not disturbed.

    `state`: of the service, as `service_state` has it.
    """
    if state.get("LoadState") == "loaded":
        yield service(state)
        yield from hidden_files(config.model, config.cameras, path)
        yield from writable_configuration(config, path)
    yield from permissions(config, path)
    yield from opencv(config.cameras)
    yield from device_access((*GPU_NODES, *_devices(config.cameras)))
    history, teaching = config.history, config.teaching
    kept = history.max_bytes * history.enabled + teaching.max_bytes * teaching.keep
    yield disk(state_directory(config.outbox), config.outbox.max_bytes + kept)
    if (history.enabled and history.clips) or teaching.keep:
        yield clips(next(available(), None))


def _as_the_service(folder: Path) -> Finding:
    """Become the service's user, with its state directory and credential; this cannot be undone."""
    try:
        user = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return wrong("user", f"there is no user {SERVICE_USER}", "run install.sh again")
    given = INSTALLED.with_name(CREDENTIAL)
    if given.exists():
        shutil.copy(given, folder / CREDENTIAL)
        (folder / CREDENTIAL).chmod(0o400)
        os.chown(folder / CREDENTIAL, user.pw_uid, user.pw_gid)
        os.environ["CREDENTIALS_DIRECTORY"] = str(folder)
    os.chown(folder, user.pw_uid, user.pw_gid)
    os.environ.update(STATE_DIRECTORY=SERVICE_STATE, HOME=SERVICE_STATE)
    os.setgroups([*os.getgrouplist(SERVICE_USER, user.pw_gid), *service_groups()])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    return ok("user", f"all checks are made as {SERVICE_USER}, the service's user")


def writable_configuration(config: Config, path: Path) -> Iterator[Finding]:
    """Check that the service may write its configuration file, where requests or the live page may ask for that."""
    if can_store(path):
        return
    if config.mqtt.allow_remote_config:
        remedy = "run install.sh again, which gives the service a folder for it where that key is set"
        yield wrong("mqtt.allow_remote_config", f"the service may not write {path}", remedy)
    if config.web.enabled and config.web.allow_changes:
        remedy = "write that key into [web], and run install.sh again; false keeps changes off the page"
        yield warning("web.allow_changes", f"what is saved on the live page cannot be written to {path}", remedy)


def _devices(configured: Mapping[str, CameraConfig]) -> tuple[Path, ...]:
    """The device nodes of USB cameras."""
    sources = [camera.to_source() for camera in configured.values()]
    return tuple(Path(source.target) for source in sources if source.kind == "v4l2")


def permissions(config: Config, path: Path) -> Sequence[Finding]:
    """Check whether every user of this machine can read secrets, or write what controls the daemon."""
    found = [warning(str(one.path), one.text, one.remedy) for one in unsafe_permissions(config, path)]
    return found or [ok("secrets, state and model", "are not open to every user of this machine")]


class OpenedModel(NamedTuple):
    """Where the model fits and compares frames, and the network's input size: (width, height), pixels."""

    preprocessor: Preprocessor
    input_size: tuple[int, int]


def model(
    config: Config, service_runs: bool = False, told: Sequence[str] = ()
) -> Generator[Finding, None, OpenedModel | None]:
    """Check that the model opens, answers and is fast enough, and takes the cameras' tiles in one call.

    An engine that is not built yet is left to the daemon. `told`: reasons against TensorRT that are not repeated.
    """
    try:
        path, state = model_path(config.model), state_directory(config.outbox)
        if _is_unbuilt(config.model, path, state):
            yield warning(
                "engine",
                f"none has been built from {path} yet",
                "the service's first start builds one, which takes minutes",
            )
            return None
        with open_at_terminal(config.model, state) as engine:
            yield ok("model", f"{engine.manifest.name}, sha256 {engine.sha256[:12]}, {engine.runtime}")
            if fallback := _untold(engine.fallback, told):
                yield warning("model", "does not run as this machine could", fallback)
            yield speed(engine, config.cameras, service_runs)
            for sentence in model_warnings(config, engine):
                yield Finding("tiles", "warning", sentence)
            for problem in unknown_actions(config, engine.manifest.labels):
                yield wrong("model", problem)
            return OpenedModel(engine.preprocessor, engine.manifest.input_size)
    except (AssetError, EngineError) as error:
        yield wrong("model", str(error))
    return None


def _untold(fallback: str, told: Sequence[str]) -> str:
    """The reasons for a fallback without those that have been told."""
    for reason in told:
        for sentence in (without_tensorrt(reason), in_place_of_tensorrt(reason)):
            fallback = fallback.removeprefix(sentence).removeprefix("; ")
    return fallback


def _is_unbuilt(settings: ModelConfig, path: Path, state: Path) -> bool:
    """Whether TensorRT would have to build an engine first."""
    if settings.runtime == "onnxruntime" or is_engine_file(path):
        return False
    try:
        trt, cuda = bindings()
        engine = first_engine(EngineCache(state / ENGINE_CACHE, trt, cuda), path, settings)
    except EngineError:  # as opening it will say
        return False
    return not engine.place.exists()


def credentials(settings: MqttConfig) -> Sequence[Finding]:
    """Check that there is a password where there is a user name."""
    if settings.username is None:
        return ()
    try:
        if password(settings):
            return (ok("password", "is set"),)
    except CredentialsError as error:
        return (wrong("password", str(error)),)
    file = INSTALLED.with_name(CREDENTIAL)
    remedy = f"write it to {file} (owner root, mode 600), or set [mqtt] password_file or {VARIABLE}"
    return (warning("password", "[mqtt] username is set, but no password", remedy),)
