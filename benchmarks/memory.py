"""Measures whether a long replay grows: the resident memory after 1,000 frames and after every further 1,000.

python -m benchmarks.memory [SOURCE] [--model FILE] [--frames 20000]. Exit status 1 where it grows by 20 MB or more.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from edge import pipeline
from edge.assets import asset_path
from edge.commands.bench import endless
from edge.commands.demo import CLIP
from edge.commands.replay import ReplaySession, open_session, walk

SETTLED = 1000  # frames, after which memory should stay
ALLOWED = 20.0  # MB


def main() -> int:
    """Print one line per 1,000 frames and the growth since the first of them."""
    options = _options()
    played = open_session(str(options.source or asset_path(CLIP)), options.model, None, None)
    print(f"{'frames':>8}{'MB':>10}{'growth':>10}")
    first = last = 0.0
    for count, last in _memory(played, options.frames):
        first = first or last
        print(f"{count:8}{last:10.1f}{last - first:+10.1f}", flush=True)
    grown = last - first
    print(f"grown by {grown:.1f} MB after the first {SETTLED} frames; allowed: less than {ALLOWED:g}")
    return int(grown >= ALLOWED)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures whether a long replay grows.")
    parser.add_argument("source", nargs="?", type=Path, help="a video file, default: the shipped clip; played over")
    parser.add_argument("--model", type=Path, help="default: the shipped one")
    parser.add_argument("--frames", type=int, default=20_000)
    return parser.parse_args()


def _memory(played: ReplaySession, frames: int) -> Iterator[tuple[int, float]]:
    """After every SETTLED frames their number and the resident memory, MB."""
    start = pipeline.initial(played.camera, "memory")
    passages = walk(islice(endless(played), frames), played.engine, played.settings, start)
    for count, _ in enumerate(passages, 1):
        if count % SETTLED == 0:
            yield count, resident()


def resident() -> float:
    """Memory of this process that is in RAM, MB (1e6 bytes); Linux only."""
    status = Path("/proc/self/status").read_text("ascii")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(kilobytes) * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(main())
