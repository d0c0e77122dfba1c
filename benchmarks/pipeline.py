"""Times the whole pipeline on a 320x240 video, for several numbers of threads.

python -m benchmarks.pipeline [SOURCE] [--model FILE] [--threads 1 2] [--frames 500]
"""

import argparse
import tempfile
from pathlib import Path

import cv2

from edge.cameras.video_file import probe, read_file
from edge.commands.bench import Measurement, measure
from edge.commands.demo import CLIP
from edge.commands.replay import open_session
from edge.shipped_files import asset_path

SIZE = (320, 240)  # (width, height), pixels


def main() -> None:
    """Print p50 and share per stage, a pair of columns for each number of threads."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "video.avi"
        _write_small(options.source or asset_path(CLIP), video)
        measured = {
            threads: measure(open_session(str(video), options.model, None, None, threads), options.frames)
            for threads in options.threads
        }
    _print(measured)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times the whole pipeline on a 320x240 video.")
    parser.add_argument("source", nargs="?", type=Path, help="a video, default: the shipped clip")
    parser.add_argument("--model", type=Path, help="default: the shipped one")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--frames", type=int, default=500)
    return parser.parse_args()


def _write_small(source: Path, target: Path) -> None:
    """Write the source resized to SIZE, as MPEG-4."""
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"XVID"), probe(source).fps, SIZE)
    for frame in read_file(source, "camera"):
        writer.write(cv2.resize(frame.image, SIZE, interpolation=cv2.INTER_AREA))
    writer.release()


def _print(measured: dict[int, Measurement]) -> None:
    print(f"{'ms per frame':14}" + "".join(f"{f'{threads} threads: p50':>18}{'share':>8}" for threads in measured))
    rows = {threads: found.rows() for threads, found in measured.items()}
    for stage in next(iter(rows.values())):
        cells = "".join(f"{row[stage]['p50']:18.2f}{row[stage]['share']:7.1f}%" for row in rows.values())
        print(f"{stage:14}{cells}")
    print(f"{'frames/s':14}" + "".join(f"{found.fps:18.1f}{'':8}" for found in measured.values()))
    print(f"{'outside':14}" + "".join(f"{100 * found.overhead:17.1f}%{'':8}" for found in measured.values()))


if __name__ == "__main__":
    main()
