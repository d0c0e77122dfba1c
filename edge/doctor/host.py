"""Checks of the machine: devices, disk, clock, OpenCV, the service. Shell."""

import grp
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2

from edge.config.schema import CameraConfig, ModelConfig
from edge.doctor.finding import Finding, ok, warning, wrong
from edge.engines.engine_build import L4T_RELEASE
from edge.engines.motion_cuda import MotionCudaError, usable
from edge.history.encoders import NO_ENCODER
from edge.inference import PREPROCESSORS, Preprocessor
from edge.open_model import NVIDIA_SIGNS
from edge.sensors import clock

UNIT = "korsal-edge.service"
ENGINES_BYTES = 200 << 20  # for TensorRT's engines and their builds
HIDDEN_FOLDERS = ("/home", "/root", "/run/user")  # from the service, by ProtectHome=
GPU_NODES = tuple(map(Path, ("/dev/nvmap", "/dev/nvhost-ctrl", "/dev/nvhost-gpu", "/dev/nvidiactl", "/dev/nvidia0")))


def opencv(cameras: Mapping[str, CameraConfig], module: Any = cv2, jetson: bool | None = None) -> list[Finding]:
    """Check where OpenCV comes from and whether it has GStreamer. `jetson`: None to detect one."""
    name = f"OpenCV {module.__version__}"
    found = []
    jetson = L4T_RELEASE.exists() if jetson is None else jetson
    if jetson and str(module.__file__).startswith(sys.prefix):
        remedy = "pip uninstall opencv-python opencv-python-headless in that environment, or run install.sh again"
        found.append(wrong(name, f"is pip's ({module.__file__}), over that of JetPack", remedy))
    gstreamer = module.videoio_registry.hasBackend(module.CAP_GSTREAMER)
    if gstreamer:
        found.append(ok(name, "with GStreamer"))
    elif any(camera.to_source().kind == "csi" for camera in cameras.values()):
        found.append(wrong(name, "has no GStreamer, which CSI cameras need", "use the OpenCV of JetPack"))
    elif jetson:
        remedy = "sudo apt-get install libopencv-python"
        found.append(warning(name, "has no GStreamer: no video is decoded in hardware", remedy))
    else:
        found.append(ok(name, "without GStreamer, which only CSI cameras need"))
    return found


def motion(preprocessor: Preprocessor | None = None, module: Any = cv2, nvidia: bool | None = None) -> Finding:
    """Check where the motion map is computed. `preprocessor`: of the opened model; `nvidia`: None to detect a GPU."""
    if preprocessor in ("graph", "cuda"):
        return ok("motion map", f"is computed {PREPROCESSORS[preprocessor]}")
    try:
        usable(module)
    except MotionCudaError as error:
        if any(sign.exists() for sign in NVIDIA_SIGNS) if nvidia is None else nvidia:
            return warning("motion map", "is computed on the CPU", str(error))
        return ok("motion map", "is computed on the CPU: this machine has no GPU")
    return ok("motion map", "the GPU can compute it, and does where TensorRT runs a model without optical flow")


def device_access(nodes: tuple[Path, ...]) -> list[Finding]:
    """Check that this user may open these devices; absent ones are left out."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    found = []
    for node in filter(Path.exists, nodes):
        if os.access(node, os.R_OK | os.W_OK, effective_ids=True):
            found.append(ok(f"access to {node}", f"{user} may open it"))
        else:
            remedy = f"sudo usermod --append --groups {node.group()} {user}, then restart the service"
            found.append(wrong(f"access to {node}", f"{user} may not open it", remedy))
    return found


def disk(directory: Path, needed: int) -> Finding:
    """Check that the state directory is writable and has room. `needed`: what outbox and history may take, bytes."""
    subject = f"state in {directory}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory) as file:
            file.write(b"korsal-edge doctor")
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(directory).free
    except OSError as error:
        text = f"cannot be written ({error.strerror}): waiting events would not survive a restart"
        return wrong(subject, text, "free space there, or make this user its owner")
    if free < needed + ENGINES_BYTES:
        text = f"{free >> 20} MiB free, outbox, history and engines may need {(needed + ENGINES_BYTES) >> 20}"
        return warning(subject, text, "free space there, or lower max_bytes in [outbox] and [history]")
    return ok(subject, f"is writable, {free >> 20} MiB free")


def clips(encoder: str | None) -> Finding:
    """Check that events can have clips. `encoder`: the first that seems to be there."""
    if encoder is None:
        remedy = NO_ENCODER.partition(": ")[2]
        return warning("clips", "there is no H.264 encoder: events are kept without clips", remedy)
    return ok("clips", f"can be encoded by {encoder}")


def clock_finding(synced: bool | None) -> Finding:
    """The finding for `edge.sensors.clock.synced`."""
    if synced:
        return ok("clock", "is set by a time server")
    remedy = "sudo timedatectl set-ntp true; without a network, check the battery of the real-time clock"
    if synced is None:
        return warning("clock", "it is unknown whether it is set", remedy)
    return warning("clock", "is not set: events carry wrong times, and certificates may be rejected", remedy)


def hidden_files(model: ModelConfig, cameras: Mapping[str, CameraConfig], path: Path) -> list[Finding]:
    """Findings for files in home directories, which the service cannot see."""
    files = {"the configuration": str(path.absolute()), "model.path": str(model.path or "")}
    for name, camera in cameras.items():
        source = camera.to_source()
        files[f"cameras.{name}.source"] = source.target if source.kind == "file" else ""
    return [
        wrong(key, f"{file} is hidden from the service", "move it to /etc/korsal-edge or /var/lib/korsal-edge")
        for key, file in files.items()
        if file.startswith(tuple(f"{home}/" for home in HIDDEN_FOLDERS))
    ]


def systemctl(*arguments: str) -> str:
    """systemctl's output; "" where there is no systemctl."""
    try:
        done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def service_state() -> Mapping[str, str]:
    """LoadState, ActiveState, UnitFileState and NRestarts of the unit; empty without systemd."""
    output = systemctl("show", UNIT, "--property=LoadState,ActiveState,UnitFileState,NRestarts")
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def service_groups() -> list[int]:
    """Numbers of the groups that the unit gives the service beside its user's own; those that exist."""
    names = systemctl("show", UNIT, "--property=SupplementaryGroups", "--value").split()
    return [group.gr_gid for group in grp.getgrall() if group.gr_name in names]


def service(state: Mapping[str, str]) -> Finding:
    """The finding for `service_state`."""
    active, restarts = state.get("ActiveState", ""), state.get("NRestarts", "0")
    if active == "active" and restarts == "0":
        return ok("service", "is running")
    if active == "active":
        return warning("service", f"is running, after {restarts} restarts", f"for the reason: journalctl -u {UNIT}")
    if active in ("activating", "failed"):
        return wrong("service", f"does not start ({restarts} restarts)", f"for the reason: journalctl -u {UNIT} -n 50")
    if state.get("UnitFileState") != "enabled":
        return warning("service", "is not started at boot", "sudo systemctl enable korsal-edge")
    return ok("service", "is installed but not started: sudo systemctl start korsal-edge")


def clock_is_set() -> bool | None:
    """Whether a time server has set the clock; None where that is unknown."""
    return clock.synced()
