"""Runs everything that waits for a GPU, from a pack, within a given time; needs nothing but the pack and PyTorch.

    python3 gpu-pack/run.py OUT [--seconds 570] [--steps machine latency ...] [--rehearse]

Each step is a process of its own with its share of the time: what fails or hangs ends itself alone. OUT gets
results.json after each step, and at the end bundle.tar in parts, at most 8 files of at most 16 MiB in all.
"""

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

PART = 15 * 1024**2  # bytes of one file that comes back
PARTS = 4  # of the bundle: with results.json 61 MiB in all
GRACE = 10.0  # seconds that a step gets beyond its share before it is killed
RESERVE = 15.0  # seconds kept for writing the bundle
OPENCV = "opencv"  # the folder of an OpenCV built with CUDA


@dataclass(frozen=True)
class Step:
    """One module of benchmarks.gpu: seconds of its share and those without which it is skipped."""

    name: str
    share: float
    least: float
    cuda_opencv: bool = False  # with the OpenCV that is built with CUDA
    module: str = ""  # "": as its name


PLAN = (
    Step("machine", 20, 5),
    Step("samples", 40, 15),
    Step("preprocess", 45, 15, cuda_opencv=True),
    Step("latency", 75, 20),
    Step("daemon", 50, 20),
    Step("daemon_cv2", 40, 15, cuda_opencv=True, module="daemon"),
    Step("candidates", 10_000, 120),  # all that is left
)


def main() -> None:
    """Unpack, then one step after the other."""
    options = _options()
    ends = time.monotonic() + options.seconds - RESERVE
    work = Path(tempfile.mkdtemp(prefix="korsal-gpu-"))
    options.out.mkdir(parents=True, exist_ok=True)
    kept = work / "kept"
    kept.mkdir()
    _unpack(options.pack, work)
    results: dict[str, object] = {}
    for step in PLAN:
        if step.name in options.steps:
            results[step.name] = _run(step, options, work, ends)
            _write(options.out / "results.json", results)
    results["bundle"] = _bundle(kept, options.out)
    _write(options.out / "results.json", results)
    print(f"{options.out}: results.json and {len(list(options.out.glob('bundle.tar.*')))} parts of the bundle")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Runs everything that waits for a GPU, within a given time.")
    names = [step.name for step in PLAN]
    parser.add_argument("out", type=Path, help="folder for what comes back")
    parser.add_argument("--pack", type=Path, default=Path(__file__).resolve().parent, help="default: beside this file")
    parser.add_argument("--seconds", type=float, default=570.0, help="for everything (default: %(default)g)")
    parser.add_argument("--steps", nargs="+", choices=names, default=names, help="default: all")
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, with small numbers")
    return parser.parse_args()


def _unpack(pack: Path, work: Path) -> None:
    """The repository, the packages that this Python lacks, and the OpenCV with CUDA, if the pack has one."""
    with tarfile.open(pack / "repository.tar.xz") as archive:
        archive.extractall(work / "repository", filter="data")
    packages = work / "packages"
    packages.mkdir()
    for wheel in sorted((pack / "wheels").glob("*.whl")):
        module = (pack / "wheels" / f"{wheel.name}.module").read_text().strip()
        if importlib.util.find_spec(module) is None:
            with zipfile.ZipFile(wheel) as content:
                content.extractall(packages)
    for built in (pack / OPENCV).glob("*.tar.xz"):
        with tarfile.open(built) as opencv:
            opencv.extractall(work / OPENCV, filter="data")


def _run(step: Step, options: argparse.Namespace, work: Path, ends: float) -> object:
    """What the step found; a sentence under `skipped` or `failed` where it found nothing or not everything."""
    left = ends - time.monotonic()
    if left < step.least:
        print(f"{step.name}: skipped", flush=True)
        return {"skipped": f"{left:.0f} seconds were left, and it needs {step.least:.0f}"}
    seconds = min(step.share, left)
    file, log = work / f"{step.name}.json", work / "kept" / f"{step.name}.log"
    command = [
        sys.executable,
        "-m",
        f"benchmarks.gpu.{step.module or step.name}",
        "--pack",
        str(options.pack.resolve()),
    ]
    command += ["--result", str(file), "--kept", str(work / "kept"), "--seconds", f"{seconds:.1f}"]
    command += ["--rehearse"] if options.rehearse else []
    print(f"{step.name}: {seconds:.0f} seconds at most", flush=True)
    began = time.monotonic()
    fault = _fault(command, _environment(step, work), work / "repository", log, seconds + min(GRACE, RESERVE))
    found: dict[str, object] = json.loads(file.read_text()) if file.exists() else {}
    found["seconds"] = round(time.monotonic() - began, 1)
    if fault:
        found["failed"] = fault
    print(log.read_text(errors="replace")[-2000:], flush=True)
    return found


def _environment(step: Step, work: Path) -> dict[str, str]:
    """The repository first; for cv2.cuda the OpenCV before it, and the libraries that it was linked with."""
    path = [str(work / "repository"), str(work / "packages")]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}  # many processes share the cores
    built = work / OPENCV
    if step.cuda_opencv and built.is_dir():
        path.insert(0, str(built / "cvt"))
        found = importlib.util.find_spec("nvidia")
        places = list(found.submodule_search_locations or ()) if found else []
        libraries = [str(built / "nppstub"), *(str(lib) for place in places for lib in Path(place).glob("*/lib"))]
        libraries.append("/usr/local/cuda/lib64")
        environment["LD_LIBRARY_PATH"] = os.pathsep.join([*libraries, os.environ.get("LD_LIBRARY_PATH", "")])
    environment["PYTHONPATH"] = os.pathsep.join([*path, os.environ.get("PYTHONPATH", "")])
    return environment


def _fault(command: list[str], environment: dict[str, str], folder: Path, log: Path, seconds: float) -> str:
    """Run a step, its output into `log`; what went wrong, "" where nothing did."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"it was stopped after {seconds:.0f} seconds"
    if status == 0:
        return ""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"it ended with status {status}"


def _bundle(kept: Path, out: Path) -> dict[str, object]:
    """Write what the steps kept as one tar in parts, the smallest files first; names what does not fit."""
    left_out, room = [], PART * PARTS - 10240
    whole = kept.parent / "bundle.tar"
    with tarfile.open(whole, "w") as archive:
        for file in sorted((one for one in kept.rglob("*") if one.is_file()), key=lambda one: one.stat().st_size):
            size = 1024 + -(-file.stat().st_size // 512) * 512
            if size > room:
                left_out.append(file.name)
                continue
            archive.add(file, file.relative_to(kept))
            room -= size
    content = whole.read_bytes()
    for number, start in enumerate(range(0, len(content), PART)):
        (out / f"bundle.tar.{number}").write_bytes(content[start : start + PART])
    return {"bytes": len(content), "left_out": left_out}


def _write(file: Path, results: dict[str, object]) -> None:
    file.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
