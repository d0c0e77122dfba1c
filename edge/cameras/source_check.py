"""What is wrong with a source before it is opened. Shell over the file system and sockets."""

import os
import stat
from pathlib import Path

from edge.cameras.gstreamer_pipelines import InstalledElements, missing_elements
from edge.cameras.rtsp_check import unreachable
from edge.cameras.v4l2_formats import bayer_only
from edge.cameras.video_file import CaptureError, check_file
from edge.sources import Source


def check_source(source: Source) -> None:
    """Raise CaptureError for what is wrong before any library opens the source."""
    if source.kind == "v4l2":
        _check_device(source.target)
    if source.kind == "file":
        check_file(Path(source.target))
    reason = unreachable(source.target) if source.kind == "stream" else None
    if reason:
        raise CaptureError(f"{source.redacted}: {reason}")


def _check_device(path: str) -> None:
    if not os.path.exists(path):
        raise CaptureError(f"{path}: no such camera: plug it in; `v4l2-ctl --list-devices` shows those present")
    require_device(path)
    if not os.access(path, os.R_OK | os.W_OK):
        raise CaptureError(f"{path}: may not be opened by this user: add the user to the group `video`")
    if pixels := bayer_only(path):
        number = "csi://0, or csi://1 for the second such camera"
        raise CaptureError(f"{path}: is a CSI sensor that gives raw Bayer values ({pixels}): write {number}")


def require_device(path: str) -> None:
    """Raise CaptureError for a path that exists and is not a device."""
    if not stat.S_ISCHR(os.stat(path).st_mode):
        raise CaptureError(f"{path}: is not a camera device: write /dev/video0, or a file without v4l2://")


def require_argus(source: Source, installed: InstalledElements | None) -> None:
    """Raise CaptureError for a CSI camera without the GStreamer elements that read it."""
    if source.kind != "csi":
        return
    if installed is None:
        raise CaptureError(f"{source.redacted}: this OpenCV was built without GStreamer: use the one of JetPack")
    missing = missing_elements(source, installed)
    if missing:
        names = ", ".join(missing)
        raise CaptureError(f"{source.redacted}: GStreamer has no {names}: install JetPack's nvidia-l4t-gstreamer")
