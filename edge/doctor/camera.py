"""Checks that every camera delivers a frame, opened as the daemon opens it, in a capture process. Shell."""

import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edge import threads
from edge.cameras.argus import SERVICE
from edge.cameras.image_transform import upright
from edge.cameras.live_camera import LiveCamera, LiveSettings
from edge.cameras.video_file import CaptureError, read_file
from edge.config.schema import CameraConfig
from edge.doctor.finding import Finding, ok, warning, wrong
from edge.tiles import USUAL_INPUT, too_small

SECONDS = 30.0  # for a camera to deliver a frame
POLL_SECONDS = 0.25
ARGUS = Path("/tmp/argus_socket")
ARGUS_SECONDS = 5.0  # for the service to accept a connection
EXCLUSIVE = ("v4l2", "csi")  # kinds of cameras that only one program can read at a time


def cameras(
    configured: Mapping[str, CameraConfig],
    service_runs: bool,
    seconds: float = SECONDS,
    input_size: tuple[int, int] = USUAL_INPUT,
) -> list[Finding]:
    """A finding for each camera; all are checked at the same time. `input_size`: the network's, (width, height)."""

    def check(item: tuple[str, CameraConfig]) -> Finding:
        return camera(*item, service_runs, seconds, input_size)

    try:
        with ThreadPoolExecutor(max_workers=16) as pool:
            return list(pool.map(check, configured.items()))
    except RuntimeError as error:
        if "thread" not in str(error):
            raise
        return [wrong("cameras", str(threads.refused(error)))]


def camera(
    name: str,
    configured: CameraConfig,
    service_runs: bool,
    seconds: float = SECONDS,
    input_size: tuple[int, int] = USUAL_INPUT,
) -> Finding:
    """Read one frame of one camera; a camera that the running service holds is left alone."""
    subject, source = f"camera {name}", configured.to_source()
    if service_runs and source.kind in EXCLUSIVE:
        text = f"{source.redacted} was not opened: the running service holds it"
        return warning(subject, text, "its state is in the log; to check it here: systemctl stop korsal-edge")
    try:
        if source.live:
            return _live(subject, name, configured, seconds, input_size)
        return _file(subject, configured, input_size)
    except CaptureError as error:
        return wrong(subject, str(error))


def _live(subject: str, name: str, configured: CameraConfig, seconds: float, input_size: tuple[int, int]) -> Finding:
    source = configured.to_source()
    start = time.monotonic()
    with LiveCamera(name, source, LiveSettings(start_seconds=seconds, open_seconds=seconds)) as live:
        while time.monotonic() - start < seconds:
            frame = live.newest(POLL_SECONDS)
            if frame is not None:
                height, width = frame.image.shape[:2]
                if found := too_small((width, height), configured.tiling(), input_size):
                    return wrong(subject, f"{found[0]}: {found[1]}")
                return ok(subject, f"{width}x{height} from {source.redacted} in {time.monotonic() - start:.1f} s")
            if live.reason:
                return wrong(subject, live.reason)
    return wrong(subject, f"{source.redacted}: no frame in {seconds:g} s", "check the camera and its cable or network")


def _file(subject: str, configured: CameraConfig, input_size: tuple[int, int]) -> Finding:
    source = configured.to_source()
    height, width = next(read_file(source.target, camera="")).image.shape[:2]
    if found := too_small(upright((width, height), source), configured.tiling(), input_size):
        return wrong(subject, f"{found[0]}: {found[1]}")
    text = f"{width}x{height} from {source.redacted}"
    return warning(subject, f"{text}, which ends: the daemon then ends too", "set loop = true to play it for ever")


def argus(path: Path = ARGUS, restarts: bool = False) -> Finding:
    """Check that NVIDIA's camera service, which CSI cameras need, is listening. `restarts`: [cameras] restart_argus."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(ARGUS_SECONDS)
            client.connect(str(path))
    except PermissionError:
        return wrong("argus", f"this user may not open {path}", "run install.sh again, or check the socket's rights")
    except OSError as error:
        itself = "; the running daemon does so by itself" if restarts else ", or set restart_argus = true in [cameras]"
        reason = error.strerror or "it does not answer"
        return wrong("argus", f"{path}: {reason}", f"sudo systemctl restart {SERVICE}{itself}")
    restarted = ", and is restarted where it hangs" if restarts else ""
    return ok("argus", f"{SERVICE} is listening on {path}{restarted}")
