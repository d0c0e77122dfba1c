"""Step: trains the candidates of candidates.json side by side on one GPU, each a process, until the time is up.

Their frames are decoded once, before they begin. How many samples fit into the time each measures while all run.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu import data, step
from benchmarks.gpu.step import Step
from train import training_data
from train.datasets.packed_video import open_packed
from train.train_settings import TrainSettings

LIST = Path("benchmarks/gpu/candidates.json")
CACHE, WORK = Path("cache"), Path("candidates")
ENDING = 25.0  # seconds before the end at which learning stops: what follows is validation, detections and files


def main() -> None:
    """Decode, begin all candidates, wait for them."""
    running = step.begin()
    candidates = json.loads(LIST.read_text())
    if running.rehearse:
        candidates = candidates[:2]
    _decode(running)
    began = time.monotonic()
    processes = {one["name"]: _begin(running, one, len(candidates)) for one in candidates}
    for name, process in processes.items():
        try:
            status = process.wait(max(running.left + 5, 1))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            status = process.wait()
        running.note("candidates", {**_found(name), "status": status})
    running.save(side_by_side=len(candidates), training_seconds=round(time.monotonic() - began, 1))


def _decode(running: Step) -> None:
    """All videos of all candidates, once, by all processors."""
    began = time.monotonic()
    folders = data.folders(running.pack, (data.UCF24, data.JHMDB21), WORK / "data", running.rehearse)
    files = training_data.load(TrainSettings(folders)).files
    packed = open_packed(files.items(), CACHE)
    frames = sum(len(video.held) for video in packed.values())
    running.save(decoding_seconds=round(time.monotonic() - began, 1), frames=frames)


def _begin(running: Step, candidate: dict[str, Any], count: int) -> "subprocess.Popen[bytes]":
    """One candidate's process; its output goes into its log."""
    folder = WORK / candidate["name"]
    folder.mkdir(parents=True)
    rehearsed = ["--rehearse"] if running.rehearse else []
    command = [sys.executable, "-m", "benchmarks.gpu.candidate", json.dumps(candidate), "--pack", str(running.pack)]
    command += [
        "--kept",
        str(running.kept),
        "--seconds",
        f"{running.left - ENDING:.1f}",
        "--of",
        str(count),
        *rehearsed,
    ]
    with (running.kept / f"{candidate['name']}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def _found(name: str) -> dict[str, Any]:
    """What the candidate has written, its name alone where that is nothing."""
    file = WORK / name / "found.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"name": name}
    return found


if __name__ == "__main__":
    main()
