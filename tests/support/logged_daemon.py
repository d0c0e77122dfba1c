"""A daemon whose log is kept."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import ROOT


@contextmanager
def daemon(config: Path, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "edge", "run", "--config", str(config)]
    with log.open("ab") as log_file:
        process = subprocess.Popen(
            command, cwd=config.parent, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, stderr=log_file
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
