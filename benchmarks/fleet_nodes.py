"""Two bridged mosquittos for benchmarks/fleet.py, one of which can be broken and started again."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

# Everything is sent at once: what a bridge or a subscriber has not been handed yet is lost with its node.
SETTINGS = """listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_inflight_messages 0
max_queued_messages 0
{user}"""
BRIDGE = """connection hub
address 127.0.0.1:{hub}
topic korsal/# both 1
bridge_protocol_version mqttv311
cleansession false
restart_timeout 1
notifications false
"""


class BrokerNode:
    """One mosquitto. `hub`: the port of the node that it is bridged to; None: it is the hub itself."""

    def __init__(self, folder: Path, hub: int | None = None) -> None:
        self.port = _free_port()
        self._file = folder / f"{self.port}.conf"
        user = "user root\n" if os.geteuid() == 0 else ""
        bridge = "" if hub is None else BRIDGE.format(hub=hub)
        self._file.write_text(SETTINGS.format(port=self.port, user=user) + bridge)
        self._process = self._start()

    def break_down(self) -> None:
        """SIGKILL, as a power cut would."""
        self._process.kill()
        self._process.wait()

    def start_again(self) -> None:
        """After `break_down`."""
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            sys.exit("mosquitto is not installed: apt-get install mosquitto")
        with self._file.with_suffix(".log").open("ab") as log:
            process = subprocess.Popen([program, "-c", str(self._file)], stdout=log, stderr=log)
        while socket.socket().connect_ex(("127.0.0.1", self.port)):
            if process.poll() is not None:
                sys.exit(f"mosquitto ended: {self._file.with_suffix('.log').read_text()}")
            time.sleep(0.01)
        return process


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
