"""The wheel, installed as a device gets it: without torch, `train`'s and `convert`'s libraries. Needs the network."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

[MEMORY] = (ROOT / "models").glob("memory-*.onnx")
SHIPPED = (
    *("config.toml", "demo/basketball.mp4", "docs/event.schema.json"),
    *("models/korsal-lite-ucf24x5-jhmdb21.onnx", "models/README.md"),
    f"models/{MEMORY.name}",
    "models/korsal-actor.onnx",
    *(f"models/korsal-lite-ucf24x5-jhmdb21-{ending}.onnx" for ending in ("fp16", "int8", "int8-fp16", "int8-cpu")),
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def run(*command: str | Path, folder: Path) -> str:
    """What a program prints; fails the test with it where the program fails."""
    done = subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment that holds the wheel with the extras `cpu` and `web`."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, folder=folder)
    (wheel,) = folder.glob("*.whl")
    run(sys.executable, "-m", "venv", folder / "venv", folder=folder)
    python = folder / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-input", f"{wheel}[cpu,web]", folder=folder)
    return python


def test_every_file_of_edge_imports_without_torch(installed: Path, tmp_path: Path) -> None:
    code = """
import importlib, importlib.util, pkgutil, sys, edge
assert edge.__file__.startswith(sys.prefix), edge.__file__
assert importlib.util.find_spec("torch") is None
for module in pkgutil.walk_packages(edge.__path__, "edge."):
    importlib.import_module(module.name)
    print(module.name)
"""
    imported = set(run(installed, "-c", code, folder=tmp_path).split())
    files = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / "edge").rglob("*.py"))
    expected = {".".join(path.parts).removesuffix(".__init__") for path in files} - {"edge"}
    assert imported == expected


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_is_found(installed: Path, tmp_path: Path, name: str) -> None:
    found = run(
        installed, "-c", f"from edge.shipped_files import asset_path; print(asset_path({name!r}))", folder=tmp_path
    )
    assert Path(found.strip()).is_relative_to(installed.parent.parent)


def test_the_live_page_is_there(installed: Path, tmp_path: Path) -> None:
    code = "from edge.web.application import ASSETS; print(*sorted(one.name for one in ASSETS.iterdir()))"
    here = sorted(one.name for one in (ROOT / "edge" / "web" / "assets").iterdir())
    assert run(installed, "-c", code, folder=tmp_path).split() == here


def test_the_command_is_there(installed: Path, tmp_path: Path) -> None:
    assert "replay" in run(installed.parent / "korsal-edge", "--help", folder=tmp_path)
