"""Everything that a Jetson or another 64-bit Arm machine installs is there as a wheel for it. Needs the network.

pip is asked to resolve for that platform and downloads nothing but descriptions. Markers of our own requirements are
judged as that platform would; those of packages further down by the Python that runs this.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.paths import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Ubuntu 22.04 of JetPack 6 has glibc 2.35, 24.04 of JetPack 7 has 2.39.
PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in (17, 24, 26, 27, 28, 31, 34, 35)] + ["manylinux2014_aarch64"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def requirements(extra: str, python: str) -> list[str]:
    """What pyproject.toml asks for there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    there = {"python_version": python, "platform_machine": "aarch64", "sys_platform": "linux"}
    wanted = map(Requirement, [*project["dependencies"], *project["optional-dependencies"][extra]])
    return [f"{each.name}{each.specifier}" for each in wanted if each.marker is None or each.marker.evaluate(there)]


# JetPack brings Python 3.10 or 3.12, and an OpenCV for NumPy 1, of which there is no wheel for 3.13.
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
CASES = [(extra, python) for extra in ("clips", "cpu", "dask", "evaluate", "web") for python in PYTHONS]


@pytest.mark.parametrize(("extra", "python"), [("jetson", "3.10"), ("jetson", "3.12"), *CASES])
def test_every_dependency_has_a_wheel_for_arm(tmp_path: Path, extra: str, python: str) -> None:
    wanted = requirements(extra, python)
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--no-input"]
    there = ["--only-binary=:all:", "--python-version", python, *(f"--platform={name}" for name in PLATFORMS)]
    report = tmp_path / "report.json"
    done = subprocess.run(
        [*pip, *there, f"--target={tmp_path / 'nowhere'}", f"--report={report}", *wanted],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {item["metadata"]["name"].lower().replace("_", "-") for item in json.loads(report.read_text())["install"]}
    assert {Requirement(line).name for line in wanted} <= found
    assert not (extra == "jetson" and any(name.startswith("opencv") for name in found))  # JetPack's own is used
