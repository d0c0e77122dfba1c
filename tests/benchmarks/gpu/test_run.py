"""The runner: shares of time, what fails or hangs, and what comes back in files that may come back."""

import argparse
import io
import json
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import run
from benchmarks.gpu.run import Step

FAILS = "import sys; print('before'); sys.exit('the GPU is on fire')"
HANGS = "import time; time.sleep(600)"
FINDS = (
    "import json, sys; a = dict(zip(sys.argv[1::2], sys.argv[2::2]));"
    "open(a['--result'], 'w').write(json.dumps({'answer': a['--seconds']}))"
)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An unpacked repository with three steps of one line."""
    steps = tmp_path / "repository" / "benchmarks" / "gpu"
    steps.mkdir(parents=True)
    for name, code in (("fails", FAILS), ("hangs", HANGS), ("finds", FINDS)):
        (steps / f"{name}.py").write_text(code)
    (tmp_path / "kept").mkdir()
    return tmp_path


def found(work: Path, step: Step, seconds: float = 60) -> dict[str, Any]:
    options = argparse.Namespace(pack=work, rehearse=False)
    result = run._run(step, options, work, time.monotonic() + seconds)
    assert isinstance(result, dict)
    return result


def test_a_step_gets_its_share(work: Path) -> None:
    assert found(work, Step("finds", 30, 1))["answer"] == "30.0"
    assert float(found(work, Step("finds", 100, 1))["answer"]) <= 60


def test_a_step_that_comes_too_late_is_skipped(work: Path) -> None:
    assert found(work, Step("finds", 30, 20), seconds=10) == {"skipped": "10 seconds were left, and it needs 20"}


def test_a_step_that_fails_says_why(work: Path) -> None:
    assert found(work, Step("fails", 30, 1))["failed"] == "the GPU is on fire"
    assert (work / "kept" / "fails.log").read_text().splitlines()[0] == "before"


def test_a_step_that_hangs_is_stopped(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "GRACE", 0.1)
    assert "it was stopped after" in found(work, Step("hangs", 0.2, 0.1))["failed"]


def test_the_bundle_is_cut_into_parts_that_join(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PART", 30_000)
    (work / "kept" / "small.log").write_bytes(b"a" * 100)
    (work / "kept" / "weights.pt").write_bytes(b"b" * 90_000)
    (work / "kept" / "larger.pt").write_bytes(b"c" * 100_000)
    out = tmp_path / "out"
    out.mkdir()
    assert run._bundle(work / "kept", out)["left_out"] == ["larger.pt"]
    parts = sorted(out.iterdir())
    assert len(parts) <= run.PARTS
    assert max(part.stat().st_size for part in parts) <= 30_000
    with tarfile.open(fileobj=io.BytesIO(b"".join(part.read_bytes() for part in parts))) as archive:
        assert sorted(archive.getnames()) == ["small.log", "weights.pt"]


def test_only_packages_that_are_missing_are_unpacked(tmp_path: Path) -> None:
    pack, work = tmp_path / "pack", tmp_path / "work"
    (pack / "wheels").mkdir(parents=True)
    work.mkdir()
    with tarfile.open(pack / "repository.tar.xz", "w:xz"):
        pass
    for module in ("numpy", "surely_absent"):
        with zipfile.ZipFile(pack / "wheels" / f"{module}.whl", "w") as wheel:
            wheel.writestr(f"{module}/__init__.py", "")
        (pack / "wheels" / f"{module}.whl.module").write_text(f"{module}\n")
    run._unpack(pack, work)
    assert [path.name for path in (work / "packages").iterdir()] == ["surely_absent"]


def test_the_plan_fits_into_its_time() -> None:
    """All but the last step, which takes what is left: at least four minutes of the 570 seconds."""
    assert sum(step.share for step in run.PLAN[:-1]) + run.RESERVE <= 570 - 240
    assert run.PART <= 16 * 1024**2
    assert run.PARTS < 8
    assert json.dumps([step.name for step in run.PLAN])
