"""Frames from video files and live cameras: a process for each live camera, and shared memory between."""
