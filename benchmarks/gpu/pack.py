"""Packs all that benchmarks/gpu/run.py needs into one folder: code, videos, and what the other machine's Python lacks.

    python -m benchmarks.gpu.pack --ucf24 DIR --jhmdb21 DIR [--movinet FILE.pt] [--opencv FILE.tar.xz]
        [--out gpu-pack]

What is there already is kept, so that it goes on where it was stopped. Needs git, ffmpeg and pip.
"""

import argparse
import pickle
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.gpu import packages
from benchmarks.gpu.data import JHMDB21, MEMORY, UCF24
from train.datasets.split_lists import list_of_names
from train.memory_weights import NETWORK
from train.networks import movinet_weights
from train.safe_reading import array_pickle

LIMIT = 64 * 1024**2  # bytes that travel to the machine
QUALITY = 33  # x264's constant rate factor: 320x240 in about 300 bytes a frame
BUDGET = 31_000_000  # bytes of all videos
COARSER = 6  # added to the quality of the largest ones until all are within the budget
KEPT_OUT = ("models/*.onnx",)  # of the repository: networks are made anew
TRAINED = {UCF24: "trainlist.txt", JHMDB21: "trainlist01.txt"}  # whose videos travel: those of split 1
ANNOTATIONS = {UCF24: "pyannot.pkl", JHMDB21: "hmdb_annots.pkl"}


def main() -> None:
    """Pack, and print the sizes."""
    options = _options()
    out, began = options.out, time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("run.py"), out / "run.py")
    _pack_repository(out / "repository.tar.xz")
    packages.collect(out / "wheels")
    if options.movinet:
        torch.save(network_alone(movinet_weights.read(options.movinet)), out / MEMORY)
    if options.opencv:
        (out / "opencv").mkdir(exist_ok=True)
        shutil.copyfile(options.opencv, out / "opencv" / options.opencv.name)
    for name, source in ((UCF24, options.ucf24), (JHMDB21, options.jhmdb21)):
        _pack_data(name, source, out / "data" / name, options.quality)
    shrink(out / "data", {UCF24: options.ucf24, JHMDB21: options.jhmdb21}, options.quality + COARSER, options.budget)
    _print_sizes(out, time.monotonic() - began)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Packs what benchmarks/gpu/run.py needs.")
    parser.add_argument("--ucf24", type=Path, required=True, help="folder of UCF101-24")
    parser.add_argument("--jhmdb21", type=Path, required=True, help="folder of J-HMDB-21")
    parser.add_argument("--movinet", type=Path, help="weights of MoViNet, for candidates with a memory")
    parser.add_argument("--opencv", type=Path, help="an OpenCV built with CUDA: a .tar.xz with cvt/ and nppstub/")
    parser.add_argument("--out", type=Path, default=Path("gpu-pack"), help="default: %(default)s, which git ignores")
    parser.add_argument("--quality", type=int, default=QUALITY, help="x264's crf, more is smaller; %(default)s")
    parser.add_argument("--budget", type=int, default=BUDGET, help="bytes of all videos; %(default)s")
    return parser.parse_args()


def tracked(*pathspecs: str) -> list[Path]:
    """The files of the repository that git knows, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z", *pathspecs], check=True, capture_output=True, text=True).stdout
    return [Path(name) for name in listed.split("\0") if name and Path(name).is_file()]


def network_alone(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of MoViNet's weights those that a memory has: without the classifier, four fifths of them."""
    return {name: value for name, value in weights.items() if name.startswith(NETWORK)}


def _pack_repository(target: Path) -> None:
    left_out = [f":!{pattern}" for pattern in KEPT_OUT]
    with tarfile.open(target, "w:xz") as archive:
        for file in tracked(".", *left_out):
            archive.add(file)


def _pack_data(name: str, source: Path, target: Path, quality: int) -> None:
    """Annotations and lists of one data set, and its training videos, encoded anew."""
    target.mkdir(parents=True, exist_ok=True)
    for file in source.glob("*.txt"):
        shutil.copyfile(file, target / file.name)
    names = list_of_names(source / TRAINED[name])
    listed = {video for file in target.glob("*.txt") for video in list_of_names(file)}
    known = array_pickle.load(source / ANNOTATIONS[name])
    chosen = {video: known[video] for video in known if video in listed}
    (target / ANNOTATIONS[name]).write_bytes(pickle.dumps(chosen, protocol=2))
    for number, video in enumerate(names):
        encode(source / "videos" / f"{video}.mp4", target / "videos" / f"{video}.mp4", quality)
        if number % 50 == 0:
            print(f"{name}: {number} of {len(names)} videos", flush=True)


def encode(source: Path, target: Path, quality: int) -> None:
    """Every frame of a video in H.264, smaller; nothing where it was done before."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part.mp4")
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-map", "0:v:0", "-fps_mode", "passthrough"]
    command += ["-c:v", "libx264", "-preset", "fast", "-crf", str(quality), "-threads", "1", str(part)]
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        sys.exit(f"{source}: ffmpeg cannot encode it; copy the video again")
    part.replace(target)


def shrink(data: Path, sources: Mapping[str, Path], quality: int, budget: int) -> None:
    """Encode the largest videos once more, at this quality, until all together are within the budget."""
    sizes = {file: file.stat().st_size for file in data.glob("*/videos/**/*.mp4")}
    for file in sorted(sizes, key=lambda one: (-sizes[one], one)):
        if sum(sizes.values()) <= budget:
            return
        name, *inside = file.relative_to(data).parts
        file.unlink()
        encode(sources[name].joinpath(*inside), file, quality)
        sizes[file] = file.stat().st_size


def _print_sizes(out: Path, seconds: float) -> None:
    """What each part takes, and whether all of it may travel."""
    for part in sorted(out.iterdir()):
        print(f"{_megabytes(_files(part)):8.1f} MB  {part.name}")
    packed, models = (sum(file.stat().st_size for file in files) for files in (_files(out), tracked(*KEPT_OUT)))
    repository = sum(file.stat().st_size for file in tracked())
    print(f"packed in {seconds:.0f} s: {packed / 1e6:.1f} MB, and the working tree {repository / 1e6:.1f} MB")
    if packed + repository - models > LIMIT:
        sys.exit(f"{out}: with the working tree more than {LIMIT / 1e6:.1f} MB; give a smaller --budget")
    if packed + repository > LIMIT:
        print(
            f"Together more than {LIMIT / 1e6:.1f} MB: where the working tree travels too, leave its models behind by\n"
            "    git sparse-checkout set --no-cone '/*' '!/models/*.onnx'\n"
            f"which makes it {(packed + repository - models) / 1e6:.1f} MB in all; `git sparse-checkout disable` "
            "brings them back."
        )


def _files(folder: Path) -> list[Path]:
    return [folder] if folder.is_file() else [file for file in folder.rglob("*") if file.is_file()]


def _megabytes(files: Iterable[Path]) -> float:
    return sum(file.stat().st_size for file in files) / 1e6


if __name__ == "__main__":
    main()
