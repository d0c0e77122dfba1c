"""What `doctor` finds while the daemon runs, for the live page: `python -m edge.doctor.running CONFIG`. Shell.

It writes JSON. What the daemon knows better, of cameras, network and broker, it does not look at.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from edge.config.config_file import ConfigError, load
from edge.doctor.doctor import without_log, without_opening
from edge.doctor.finding import Finding, wrong
from edge.doctor.host import service_state


def findings(path: Path) -> list[Finding]:
    """All that is found of the configuration at `path` and of this machine."""
    try:
        config = load(path)
    except ConfigError as error:
        return [wrong(f"config {path}", problem) for problem in error.problems]
    with without_log():
        return list(without_opening(config, path, service_state()))


if __name__ == "__main__":
    sys.stdout.write(json.dumps([asdict(one) for one in findings(Path(sys.argv[1]))]))
