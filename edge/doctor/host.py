"""What the machine around the daemon may lack: rights, space, a set clock, OpenCV's parts, a running service. Shell."""

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

from edge.config.schema import CameraConfig, Config
from edge.doctor.finding import Finding, ok, warning, wrong
from edge.engines.engine_build import L4T_RELEASE
from edge.engines.motion_cuda import MotionCudaError, usable
from edge.open_model import NVIDIA_SIGNS
from edge.sensors import clock

UNIT = "korsal-edge.service"
ENGINES_BYTES = 200 << 20  # for TensorRT's engines and what it builds them with
HIDDEN = ("/home", "/root", "/run/user")  # from the service, by ProtectHome=
GPU_NODES = tuple(map(Path, ("/dev/nvmap", "/dev/nvhost-ctrl", "/dev/nvhost-gpu", "/dev/nvidiactl", "/dev/nvidia0")))


def opencv(cameras: Mapping[str, CameraConfig], module: Any = cv2, jetson: bool | None = None) -> list[Finding]:
    """Where it comes from, whether it has GStreamer, and whether it can map motion on the GPU.

    `jetson`: None to look.
    """
    name = f"OpenCV {module.__version__}"
    found = []
    jetson = L4T_RELEASE.exists() if jetson is None else jetson
    if jetson and str(module.__file__).startswith(sys.prefix):
        cure = "pip uninstall opencv-python opencv-python-headless in that environment, or run install.sh again"
        found.append(wrong(name, f"is pip's ({module.__file__}), over that of JetPack", cure))
    gstreamer = module.videoio_registry.hasBackend(module.CAP_GSTREAMER)
    if gstreamer:
        found.append(ok(name, "with GStreamer"))
    elif any(camera.to_source().kind == "csi" for camera in cameras.values()):
        found.append(wrong(name, "has no GStreamer, which CSI cameras need", "use the OpenCV of JetPack"))
    elif jetson:
        cure = "sudo apt-get install libopencv-python"
        found.append(warning(name, "has no GStreamer: nothing is decoded in hardware", cure))
    else:
        found.append(ok(name, "without GStreamer, which only CSI cameras need"))
    return found


def motion(module: Any = cv2, nvidia: bool | None = None) -> Finding:
    """Where the motion map can be computed. `nvidia`: None to look whether a GPU is here."""
    try:
        usable(module)
    except MotionCudaError as error:
        if any(sign.exists() for sign in NVIDIA_SIGNS) if nvidia is None else nvidia:
            return warning("motion map", "is computed on the CPU", str(error))
        return ok("motion map", "is computed on the CPU: there is no GPU here")
    return ok("motion map", "the GPU can compute it, and does where TensorRT runs a model without optical flow")


def rights(nodes: tuple[Path, ...]) -> list[Finding]:
    """May this user open these devices? Those that are not there are left out."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    found = []
    for node in filter(Path.exists, nodes):
        if os.access(node, os.R_OK | os.W_OK, effective_ids=True):
            found.append(ok(f"rights on {node}", f"{user} may open it"))
        else:
            cure = f"sudo usermod --append --groups {node.group()} {user}, then restart the service"
            found.append(wrong(f"rights on {node}", f"{user} may not open it", cure))
    return found


def disk(directory: Path, needed: int) -> Finding:
    """May the state directory be written, and is there room? `needed`: bytes that the outbox may grow to."""
    subject = f"state in {directory}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory) as file:
            file.write(b"korsal-edge doctor")
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(directory).free
    except OSError as error:
        text = f"cannot be written ({error.strerror}): events are not kept over a restart"
        return wrong(subject, text, "free space there, or give it to this user")
    if free < needed + ENGINES_BYTES:
        text = f"{free >> 20} MiB are free, outbox and engines may need {(needed + ENGINES_BYTES) >> 20}"
        return warning(subject, text, "free space there, or lower [outbox] max_bytes")
    return ok(subject, f"can be written, {free >> 20} MiB free")


def set_clock(synced: bool | None) -> Finding:
    """As `edge.sensors.clock.synced` tells."""
    if synced:
        return ok("clock", "is set by a time server")
    cure = "sudo timedatectl set-ntp true; without a network, see that the battery of the clock is in"
    if synced is None:
        return warning("clock", "it cannot be told whether it is set", cure)
    return warning("clock", "is not set: events carry wrong times, and certificates may not be trusted", cure)


def hidden(config: Config, path: Path) -> list[Finding]:
    """Files that the service cannot see, wherever it is installed: it does not see people's homes."""
    files = {"the configuration": str(path.absolute()), "model.path": str(config.model.path or "")}
    for name, camera in config.cameras.items():
        source = camera.to_source()
        files[f"cameras.{name}.source"] = source.target if source.kind == "file" else ""
    return [
        wrong(key, f"{file} is hidden from the service", "move it to /etc/korsal-edge or /var/lib/korsal-edge")
        for key, file in files.items()
        if file.startswith(tuple(f"{home}/" for home in HIDDEN))
    ]


def systemctl(*arguments: str) -> str:
    """What systemctl prints; "" where there is none."""
    try:
        done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def service_state() -> Mapping[str, str]:
    """LoadState, ActiveState, UnitFileState and NRestarts of the unit; empty where there is no systemd."""
    said = systemctl("show", UNIT, "--property=LoadState,ActiveState,UnitFileState,NRestarts")
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def service(state: Mapping[str, str]) -> Finding:
    """As `service_state` tells."""
    active, restarts = state.get("ActiveState", ""), state.get("NRestarts", "0")
    if active == "active" and restarts == "0":
        return ok("service", "runs")
    if active == "active":
        return warning("service", f"runs, after {restarts} restarts", f"journalctl -u {UNIT} tells why")
    if active in ("activating", "failed"):
        return wrong("service", f"does not come up ({restarts} restarts)", f"journalctl -u {UNIT} -n 50 tells why")
    if state.get("UnitFileState") != "enabled":
        return warning("service", "is not started at boot", "sudo systemctl enable korsal-edge")
    return ok("service", "is installed and not started: sudo systemctl start korsal-edge")


def clock_is_set() -> bool | None:
    """As the kernel and systemd tell."""
    return clock.synced()
