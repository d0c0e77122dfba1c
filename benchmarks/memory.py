"""Measures whether the memory of a long replay grows, after every 1,000 frames.

python -m benchmarks.memory [SOURCE] [--model FILE] [--frames 20000]. Exit status 1 where it grows by 20 MB or more.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from edge import pipeline
from edge.commands.bench import endless
from edge.commands.demo import CLIP
from edge.commands.replay import ReplaySession, open_session
from edge.shipped_files import asset_path

SETTLED = 1000  # frames, after which memory should stay
ALLOWED = 20.0  # MB


def main() -> int:
    """Print one line per 1,000 frames and the growth since the first of them."""
    options = _options()
    session = open_session(str(options.source or asset_path(CLIP)), options.model, None, None)
    print(f"{'frames':>8}{'MB':>10}{'growth':>10}")
    first = last = 0.0
    for count, last in _memory(session, options.frames):
        first = first or last
        print(f"{count:8}{last:10.1f}{last - first:+10.1f}", flush=True)
    grown = last - first
    print(f"grown by {grown:.1f} MB after the first {SETTLED} frames; allowed: less than {ALLOWED:g}")
    return int(grown >= ALLOWED)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures whether the memory of a long replay grows.")
    parser.add_argument("source", nargs="?", type=Path, help="a video, default: the shipped clip; repeated")
    parser.add_argument("--model", type=Path, help="default: the shipped one")
    parser.add_argument("--frames", type=int, default=20_000)
    return parser.parse_args()


def _memory(session: ReplaySession, frames: int) -> Iterator[tuple[int, float]]:
    """Yield the number of frames and the resident memory in MB after every SETTLED frames."""
    start = pipeline.initial(session.camera, "memory")
    results = pipeline.run(islice(endless(session), frames), session.engine, session.settings, start)
    for count, _ in enumerate(results, 1):
        if count % SETTLED == 0:
            yield count, resident()


def resident() -> float:
    """Memory of this process that is in RAM, MB (1e6 bytes); Linux only."""
    status = Path("/proc/self/status").read_text("ascii")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(kilobytes) * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(main())
