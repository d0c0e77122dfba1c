"""`korsal-edge doctor`: everything that an installation can get wrong, a line each with its cure. Shell.

Run by root of an installed service it looks with the eyes of the service: as its user, with its state and password.
"""

import logging
import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge.assets import AssetError
from edge.broker.credentials import CREDENTIAL, VARIABLE, CredentialsError, password
from edge.config.config_file import ConfigError, load, model_path, state_directory
from edge.config.schema import Config
from edge.config.store import can_store
from edge.doctor.broker import broker
from edge.doctor.camera import argus, cameras
from edge.doctor.finding import Finding, ok, told, warning, wrong
from edge.doctor.host import (
    GPU_NODES,
    clock_is_set,
    disk,
    hidden,
    motion,
    opencv,
    rights,
    service,
    service_state,
    set_clock,
)
from edge.doctor.speed import speed
from edge.engines.build_plan import BuildOptions
from edge.engines.engine_cache import EngineCache
from edge.engines.tensorrt_engine import TensorRtError, bindings, is_engine_file
from edge.inference import EngineError
from edge.open_model import ENGINES, NVIDIA_SIGNS, build_options, open_at_terminal
from edge.service.file_permissions import unsafe_permissions
from edge.service.settings import topics, unknown_actions

INSTALLED = Path("/etc/korsal-edge/config.toml")
SERVICE_USER = "korsal-edge"
SERVICE_STATE = "/var/lib/korsal-edge"


def default_config() -> Path:
    """The service's configuration where it is installed, else that of the folder."""
    return INSTALLED if INSTALLED.parent.exists() else Path("config.toml")


def doctor(path: Path) -> int:
    """Print what is found, as it is found; 1 where something is wrong."""
    found = []
    with tempfile.TemporaryDirectory() as folder, _without_log():
        for finding in examine(path, Path(folder)):
            print(finding.line(), flush=True)
            found.append(finding.level)
        os.environ.pop("CREDENTIALS_DIRECTORY", None)
    count = found.count("wrong")
    print(f"{len(found)} looked at, {count} wrong, {found.count('warning')} warnings")
    return int(count > 0)


@contextmanager
def _without_log() -> Iterator[None]:
    """It would say all that again."""
    log = logging.getLogger("edge")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def examine(path: Path, folder: Path) -> Iterator[Finding]:
    """Everything about the configuration at `path`. `folder`: an empty one of ours, for the service's password."""
    if os.geteuid() == 0 and path.absolute() == INSTALLED:
        yield _as_the_service(folder)
    try:
        config = load(path)
    except ConfigError as error:
        yield from (told(f"config {path}", problem) for problem in error.problems)
        return
    number = len(config.cameras)
    yield ok(f"config {path}", f"is valid, {number} camera{'s' * (number != 1)}")
    state = service_state()
    runs = state.get("ActiveState") == "active"
    if state.get("LoadState") == "loaded":
        yield service(state)
        yield from hidden(config, path)
        yield from _remote_config(config, path)
    yield from exposures(config, path)
    yield from runtime(config)
    yield from model(config, runs)
    yield from opencv(config.cameras)
    yield motion()
    yield from rights((*GPU_NODES, *_devices(config)))
    if any(camera.to_source().kind == "csi" for camera in config.cameras.values()):
        yield argus()
    yield from cameras(config.cameras, runs)
    yield from credentials(config)
    yield broker(config.mqtt, topics(config).root)
    yield disk(state_directory(config), config.outbox.max_bytes)
    yield set_clock(clock_is_set())


def _as_the_service(folder: Path) -> Finding:
    """Become the service's user, with its state and what systemd would hand it. There is no way back."""
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
    os.initgroups(SERVICE_USER, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    return ok("user", f"all this is seen as {SERVICE_USER}, as the service sees it")


def _remote_config(config: Config, path: Path) -> list[Finding]:
    """May the service change the file that it is told to let others change?"""
    if not config.mqtt.allow_remote_config or can_store(path):
        return []
    cure = "run install.sh again, which gives the service a folder for it where that key is set"
    return [wrong("mqtt.allow_remote_config", f"the service may not write {path}", cure)]


def _devices(config: Config) -> tuple[Path, ...]:
    """The cameras' nodes."""
    sources = [camera.to_source() for camera in config.cameras.values()]
    return tuple(Path(source.target) for source in sources if source.kind == "v4l2")


def exposures(config: Config, path: Path) -> Sequence[Finding]:
    """Could every user of this machine read our secrets, or write what decides over us?"""
    found = [warning(str(one.path), one.text, one.cure) for one in unsafe_permissions(config, path)]
    return found or [ok("secrets, state and model", "are not open to every user of this machine")]


def runtime(config: Config, found: Callable[[], object] = bindings) -> list[Finding]:
    """Is TensorRT there, where it is wanted? `found` raises TensorRtError where it is not."""
    if config.model.runtime == "onnxruntime":
        return [ok("runtime", "ONNX Runtime, as model.runtime says")]
    try:
        found()
    except TensorRtError as error:
        if config.model.runtime == "tensorrt":
            return [told("runtime", str(error))]
        if any(sign.exists() for sign in NVIDIA_SIGNS):
            return [warning("runtime", "ONNX Runtime, although NVIDIA's GPU is here", str(error))]
        return [ok("runtime", "ONNX Runtime: no TensorRT and no GPU here")]
    return [ok("runtime", "TensorRT and its GPU are here")]


def model(config: Config, service_runs: bool = False) -> Iterator[Finding]:
    """Does the model open and answer, quickly enough? An engine that has yet to be built is left to the daemon."""
    try:
        path = model_path(config)
        if _is_unbuilt(config, path, build_options(config.model)):
            yield warning("engine", f"none is built of {path} yet", "the service's first start does that, for minutes")
            return
        with open_at_terminal(config) as engine:
            yield ok("model", f"{engine.manifest.name}, sha256 {engine.sha256[:12]}, {engine.runtime}")
            yield speed(engine, config.cameras, service_runs)
            for problem in unknown_actions(config, engine.manifest.labels):
                yield told("model", problem)
    except (AssetError, EngineError) as error:
        yield told("model", str(error))


def _is_unbuilt(config: Config, path: Path, options: BuildOptions) -> bool:
    """Would TensorRT have to build an engine first? Raises EngineError."""
    if config.model.runtime == "onnxruntime" or is_engine_file(path):
        return False
    try:
        trt, cuda = bindings()
    except TensorRtError:
        return False
    cache = EngineCache(state_directory(config) / ENGINES, trt, cuda, lambda *_: None)
    return not cache.place(path, options).exists()


def credentials(config: Config) -> Sequence[Finding]:
    """Is there a password where there is a user name?"""
    if config.mqtt.username is None:
        return ()
    try:
        if password(config.mqtt):
            return (ok("password", "is there"),)
    except CredentialsError as error:
        return (told("password", str(error)),)
    cure = (
        f"write it into {INSTALLED.with_name(CREDENTIAL)} (root's, mode 600), or set [mqtt] password_file or {VARIABLE}"
    )
    return (warning("password", "[mqtt] username is set, a password is not", cure),)
