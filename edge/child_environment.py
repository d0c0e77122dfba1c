"""The environment of processes that the daemon starts from its own package. Shell."""

import os
from pathlib import Path

SECRET = ("KORSAL_", "CREDENTIALS_")  # what names of variables with secrets begin with


def child_environment() -> dict[str, str]:
    """Ours plus this package's path, without secrets that the process has no use for."""
    root = str(Path(__file__).resolve().parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(SECRET)}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}
