"""How live pictures come in: a process for each camera, GStreamer or OpenCV in it, shared memory between."""
