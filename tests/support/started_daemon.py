"""A daemon started in a process of its own, on made-up videos, with a configuration of a few lines."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np

from tests.support.broker import Subscriber
from tests.support.paths import ROOT
from tests.support.tiny_model import write_tiny_model
from tests.support.waiting import PATIENCE

SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "event.schema.json").read_text()))
PROGRAM = """
import sys
from pathlib import Path
from edge.config.config_file import load
from edge.service.daemon import run
file = Path(sys.argv[1])
sys.exit(run(load(file), file))
"""
BASE = "korsal/roof"


def write_video(path: Path, plan: str, fps: float = 10.0) -> Path:
    """One grey 64x48 frame for each character: `#` white, `.` black."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48))
    for character in plan:
        writer.write(np.full((48, 64, 3), 255 if character == "#" else 0, np.uint8))
    writer.release()
    return path


def write_config(
    folder: Path, port: int, cameras: dict[str, str], more: str = "", runtime: str = "onnxruntime"
) -> Path:
    write_tiny_model(folder / "tiny.onnx")
    tables = "".join(f'[cameras.{name}]\nsource = "{source}"\n' for name, source in cameras.items())
    file = folder / "config.toml"
    file.write_text(
        f'[device]\nname = "roof"\n[model]\npath = "tiny.onnx"\nthreads = 1\nruntime = "{runtime}"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n[outbox]\ndirectory = "state"\n{tables}{more}'
    )
    return file


def start(config: Path, *arguments: str, program: str = PROGRAM, **environment: str) -> subprocess.Popen[str]:
    paths = {"PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-c", program, str(config), *arguments]
    return subprocess.Popen(command, env={**os.environ, **paths}, stderr=subprocess.PIPE, text=True)


@contextlib.contextmanager
def running(config: Path, program: str = PROGRAM, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = start(config, "10.3", program=program, **environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def play(config: Path) -> str:
    """Run `korsal-edge run` to the end of all files; what it said."""
    process = start(config)
    _, output = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    return output


class LiveStream:
    """A camera for the tests: MJPEG over HTTP on loopback, bright or dark as told, a frame every `seconds`."""

    def __init__(self, seconds: float = 0.05) -> None:
        self.bright, self._seconds = True, seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/live.mjpg"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(OSError):
                self._play(self._listener.accept()[0])

    def _play(self, client: socket.socket) -> None:
        with client:
            client.recv(65_536)
            client.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
            number = 0
            while not self._ended.wait(self._seconds):
                number += 1
                image = np.full((48, 64, 3), 255 if self.bright else 0, np.uint8)
                image[number % 48, :8] = 128  # no two frames are the same
                jpeg = cv2.imencode(".jpg", image)[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                client.sendall(head.encode() + jpeg + b"\r\n")

    def close(self) -> None:
        self._ended.set()
        self._listener.close()


def events_of(subscriber: Subscriber, camera: str, kind: str) -> list[dict[str, Any]]:
    return [event for event in subscriber.events() if (event["camera"], event["type"]) == (camera, kind)]
