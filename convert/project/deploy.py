"""`korsal-train deploy`: brings the model of a project's last run to a device, or says what to put there. Shell."""

import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from convert.project import run, run_folders, steps
from convert.project.folders import Project
from edge import files
from train.datasets.annotation_records import AnnotationError

CONFIG = PurePosixPath("/etc/korsal-edge/config.toml")
FOLDER = PurePosixPath("/etc/korsal-edge/models")
PROGRAM = PurePosixPath("/opt/korsal-edge/current/bin/korsal-edge")

Execute = Callable[[Sequence[str]], int]


class DeployError(Exception):
    """A model that was not brought to the device; the message names the step and the cure."""


def finished_model(project: Project) -> Path:
    """The FP32 file of the last run that is complete, of no other. Raises AnnotationError."""
    models = _models(project)
    if not models:
        raise AnnotationError(f"{project.runs}: holds no complete run; korsal-train run {project.folder} makes one")
    if not models[-1].exists():
        again = f"put it back, or write it anew with korsal-train run {project.folder}"
        raise AnnotationError(f"{models[-1]}: is missing, the model of the last complete run; {again}")
    return models[-1]


def known_model(project: Project) -> Path | None:
    """The last one that is there; None where no run is complete."""
    return next((one for one in reversed(_models(project)) if one.exists()), None)


def _models(project: Project) -> list[Path]:
    """Of each complete run the FP32 file, whether it is there or not."""
    done = [one.path for one in run_folders.all_runs(project) if one.state.finished]
    return [path / f"{steps.file_name(project.name)}.onnx" for path in done]


def activate(host: str, target: PurePosixPath, execute: Execute | None = None) -> str:
    """Name the model in the device's config.toml and restart the service; returns what was done. Raises DeployError.

    Where its own check finds something wrong, the configuration is what it was before, and nothing is restarted.
    """
    edge, config, model = (shlex.quote(str(one)) for one in (PROGRAM, CONFIG, target))
    keep, undo = f"{config}.deploy", f"cat {config}.deploy > {config}; rm -f {config}.deploy; exit 1"
    tried = f"{edge} models --use {model} --config {config} && {edge} check --config {config}"
    script = f"cd / && cp -p {config} {keep} && if {tried}; then rm -f {keep}; else {undo}; fi"
    restart = "systemctl restart korsal-edge"
    if status := _executed(["ssh", "--", host, f"{script} && {restart}"], execute or _run):
        raise DeployError(f"{host}: did not take the model, and runs what it ran ({status}); its reason is above")
    return f"{host}: runs {target} after its restart; journalctl -u korsal-edge says more"


def config_lines(path: PurePosixPath) -> str:
    """The lines of `config.toml`."""
    return f'[model]\npath = "{path}"'


def deploy(project: Project, host: str | None, folder: PurePosixPath = FOLDER, execute: Execute | None = None) -> str:
    """Copy the files to `folder` on the host, as one; returns what is left to do. Raises AnnotationError, DeployError.

    Files of the same names are replaced only when all new ones have arrived whole. `execute` runs a command.
    """
    if not folder.is_absolute():  # config.toml names it, and the commands run in several folders
        raise DeployError(f"--folder {folder}: begins in no certain place; give it from the root on, like {FOLDER}")
    model = finished_model(project)
    target = folder / model.name
    note, lines = _passed_over(project, model), config_lines(target)
    if host is None:
        made = "\n".join(f"  {path}" for path in run.model_files(model))
        return f"{note}Copy to the device:\n{made}\nand in its config.toml:\n{lines}"
    if host.startswith("-") or not host:
        raise DeployError(f"{host!r} is no host; give one as ssh does, like root@jetson")
    _copy(run.model_files(model), host, folder, execute or _run)
    return (
        f"{note}{host}: has {target} and its other precisions; in its config.toml:\n{lines}\n"
        f"Next: ssh {shlex.quote(host)} systemctl restart korsal-edge"
    )


def _passed_over(project: Project, model: Path) -> str:
    """A line on the last run where that is not the model's; "" where it is."""
    last = run_folders.all_runs(project)[-1].path
    return f"{last}: is not complete, so the model is that of {model.parent}\n" if last != model.parent else ""


def remote(host: str, path: str) -> str:
    """A path on a host as scp takes it: in brackets where the host is an address of IPv6, as ssh has it."""
    user, at, machine = host.rpartition("@")
    return f"{user}{at}[{machine}]:{path}" if ":" in machine and "[" not in machine else f"{host}:{path}"


def _copy(paths: Sequence[Path], host: str, folder: PurePosixPath, execute: Execute) -> None:
    incoming = folder / ".incoming"
    here, there = shlex.quote(str(incoming)), shlex.quote(str(folder))
    sums = "".join(f"{files.sha256_of(path)}  {path.name}\n" for path in paths)
    prepare = f"umask 022 && mkdir -p {there} && rm -rf {here} && mkdir {here}"
    checked = f"cd {here} && printf %s {shlex.quote(sums)} | sha256sum -c --quiet"
    moved = f"{checked} && chmod 644 -- * && mv -f -- * {there}/ && cd / && rmdir {here}"
    for words, what in (
        (
            ["ssh", "--", host, prepare],
            f"cannot make {folder}; log in once, or give a --folder where you may write",
        ),
        (
            ["scp", "-q", "--", *(str(path.absolute()) for path in paths), remote(host, f"{incoming}/")],
            "did not take the files; free space there",
        ),
        (["ssh", "--", host, moved], "has not got them whole; try again: what ran before is still there"),
    ):
        if status := _executed(words, execute):
            raise DeployError(f"{host}: {what} ({words[0]} ended with {status})")


def _executed(words: Sequence[str], execute: Execute) -> int:
    try:
        return execute(words)
    except OSError as error:
        raise DeployError(f"{words[0]} cannot be run ({error.strerror}); install OpenSSH's client") from error


def _run(words: Sequence[str]) -> int:
    return subprocess.run(words, check=False).returncode
