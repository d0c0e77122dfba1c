"""Frames from files and live cameras. Shell."""

from edge.video_file import CaptureError, VideoFacts, probe, read_file

__all__ = ["CaptureError", "VideoFacts", "probe", "read_file"]
