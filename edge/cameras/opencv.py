"""OpenCV's video backends: which are built in, their numbers, and keeping them quiet. Shell over OpenCV."""

import os

import cv2

from edge.cameras.gstreamer_pipelines import VideoBackend

_SILENT = 0  # LOG_LEVEL_SILENT in every OpenCV 4


def has_ffmpeg() -> bool:
    """Whether this OpenCV was built with FFmpeg."""
    return bool(cv2.videoio_registry.hasBackend(cv2.CAP_FFMPEG))


def has_gstreamer() -> bool:
    """Whether this OpenCV was built with GStreamer."""
    return bool(cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER))


def backend_number(backend: VideoBackend) -> int:
    """OpenCV's number of a backend; without FFmpeg, any other backend that OpenCV finds for streams."""
    if backend == "ffmpeg" and not has_ffmpeg():
        return cv2.CAP_ANY
    return {"ffmpeg": cv2.CAP_FFMPEG, "v4l2": cv2.CAP_V4L2, "gstreamer": cv2.CAP_GSTREAMER}[backend]


def silence_opencv() -> None:
    """Stop OpenCV and FFmpeg from writing to stderr, unless the environment asks for it: our messages say more.

    For FFmpeg this must come before the process opens or writes its first file.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        logging_home = getattr(cv2.utils, "logging", cv2)  # it moved after OpenCV 4.8
        logging_home.setLogLevel(_SILENT)
