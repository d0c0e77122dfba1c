"""Packages that only some commands need, and the extra that brings each. Shell."""

from importlib.util import find_spec

_REMEDIES = {
    "cv2": ("OpenCV", "pip install 'korsal-edge[cpu]', or on a Jetson take JetPack's own"),
    "lap": ("lap", "pip install korsal-edge with its dependencies"),
    "matplotlib": ("matplotlib", "pip install 'korsal-edge[evaluate]'"),
    "scipy": ("SciPy", "pip install 'korsal-edge[evaluate]'"),
    "torch": ("torch", "pip install 'korsal-edge[train]'"),
}


class MissingPackageError(ImportError):
    """A package that is not installed; the message names the extra that brings it."""


def require(package: str) -> None:
    """MissingPackageError where one of the packages is not installed."""
    if find_spec(package) is None:
        raise missing(package)


def missing(package: str) -> MissingPackageError:
    """The error for one of the packages."""
    name, remedy = _REMEDIES[package]
    return MissingPackageError(f"{name} is not installed: {remedy}")
