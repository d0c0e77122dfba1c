"""The import graph, read from the syntax trees: layers, no circles, and the purity of what calls itself pure."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.paths import ROOT

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("edge", "train", "convert")
    for path in sorted((ROOT / package).rglob("*.py"))
}
FILES = {module for module, path in MODULES.items() if path.name != "__init__.py"}
FORBIDDEN = {  # package: what none of its files may import
    "edge": {"train", "convert", "torch", "onnx", "scipy", "skimage", "matplotlib"},
    "train": {"convert"},
    "convert": set(),
}
PURE = {  # must exist and say "Pure." in their docstring; whatever else says so is held to it as well
    *("edge.boxes", "edge.detector", "edge.events", "edge.linker", "edge.manifest", "edge.motion_map"),
    *("edge.broker.payload", "edge.pipeline", "edge.sources", "train.evaluation.metrics"),
}
IMPURE_MODULES = {
    *("time", "sched", "random", "secrets", "os", "io", "shutil", "tempfile", "glob", "mmap", "sqlite3"),
    *("socket", "ssl", "select", "selectors", "http", "urllib.request", "asyncio", "subprocess", "signal", "sys"),
    *("threading", "multiprocessing", "concurrent", "queue", "onnxruntime", "tensorrt", "paho", "tqdm"),
}
IMPURE_CALLS = {
    *("open", "print", "input", "now", "utcnow", "today", "uuid1", "uuid4", "default_rng"),
    *("imread", "imwrite", "VideoCapture", "VideoWriter", "fromfile", "tofile", "read_text", "write_text"),
    *("read_bytes", "write_bytes", "exists", "is_file", "is_dir", "stat", "iterdir", "mkdir", "unlink", "cwd", "home"),
}


def imports(tree: ast.AST) -> Iterator[str]:
    """Everything imported anywhere in a file, by full name; `from edge import boxes` gives edge and edge.boxes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            yield from (f"{module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))


def called(node: ast.Call) -> str:
    """The last part of the name of what is called: `open` for `open(...)`, `now` for `datetime.now(...)`."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def crossings(package: str, tree: ast.AST) -> set[str]:
    """The imports of a file of `package` that its layer forbids."""
    return {name for name in imports(tree) if name.split(".")[0] in FORBIDDEN[package]}


def impurities(tree: ast.AST, pure: set[str]) -> set[str]:
    """What a pure file may not import or call: clocks, files, sockets, processes, threads, files that are not pure."""
    foreign = {name for name in imports(tree) if any(f"{name}.".startswith(f"{m}.") for m in IMPURE_MODULES)}
    foreign -= harmless(tree)
    ours = {name for name in imports(tree) if name in FILES and name not in pure}
    calls = {called(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return foreign | ours | calls & IMPURE_CALLS


def harmless(tree: ast.AST) -> set[str]:
    """Of impure modules what a pure file may have: bytes in memory, and Python's version, for what it is to import."""
    found = set()
    if {name for name in imports(tree) if name.split(".")[0] == "io"} == {"io", "io.BytesIO"}:
        found |= {"io", "io.BytesIO"}
    asked = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and called_on(node) == "sys"]
    if asked and all(node.attr == "version_info" for node in asked):
        found.add("sys")
    return found


def called_on(node: ast.Attribute) -> str:
    return node.value.id if isinstance(node.value, ast.Name) else ""


def parse(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def calls_itself_pure(module: str) -> bool:
    return "Pure." in (ast.get_docstring(parse(module)) or "")


def import_graph(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Each file and the files it imports anywhere in it; packages' own files hold nothing and are left out."""
    files = {module: path for module, path in modules.items() if path.name != "__init__.py"}
    return {module: set(imports(ast.parse(path.read_text()))) & set(files) - {module} for module, path in files.items()}


def room(module: str) -> str:
    """The sub-package that a file is in, or the file itself where it lies directly in its layer."""
    return ".".join(module.split(".")[:2])


def between_rooms(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    rooms: dict[str, set[str]] = {room(module): set() for module in graph}
    for module, imported in graph.items():
        rooms[room(module)] |= {room(other) for other in imported} - {room(module)}
    return rooms


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """One circle of the graph, its first member again at the end; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


DECLARED_PURE = {module for module in MODULES if calls_itself_pure(module)}


@pytest.mark.parametrize("module", MODULES)
def test_layers(module: str) -> None:
    assert crossings(module.split(".")[0], parse(module)) == set()


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(import_graph(MODULES)) == []


def test_no_packages_import_each_other_in_a_circle() -> None:
    assert circle(between_rooms(import_graph(MODULES))) == []


@pytest.mark.parametrize("module", sorted(PURE))
def test_files_that_must_be_pure_are_declared_pure(module: str) -> None:
    assert module in DECLARED_PURE


@pytest.mark.parametrize("module", sorted(DECLARED_PURE))
def test_files_declared_pure_are_pure(module: str) -> None:
    assert impurities(parse(module), DECLARED_PURE) == set()


@pytest.mark.parametrize(
    ("package", "code", "found"),
    [
        ("edge", "import numpy", set()),
        ("edge", "import torch.nn", {"torch.nn"}),
        (
            "edge",
            "def f():\n    from train.networks.lite import Network",
            {"train.networks.lite", "train.networks.lite.Network"},
        ),
        ("edge", "import importlib\nimportlib.import_module('onnx')", {"onnx"}),
        ("edge", "import onnxruntime", set()),
        ("train", "import torch\nfrom edge import motion_map as motion", set()),
        ("train", "import convert", {"convert"}),
        ("convert", "import torch\nimport train.networks.lite", set()),
    ],
)
def test_the_layer_check_finds(package: str, code: str, found: set[str]) -> None:
    assert crossings(package, ast.parse(code)) == found


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({}, []),
        ({"edge.a": {"edge.b"}, "edge.b": {"edge.c"}, "edge.c": set()}, []),
        ({"edge.a": {"edge.b"}, "edge.b": {"edge.a"}}, ["edge.a", "edge.b", "edge.a"]),
        ({"edge.p.a": {"edge.q.b"}, "edge.q.b": set(), "edge.q.c": {"edge.p.d"}, "edge.p.d": set()}, []),
    ],
)
def test_the_circle_check_finds_files(graph: dict[str, set[str]], found: list[str]) -> None:
    assert circle(graph) in (found, found[::-1])


def test_the_circle_check_finds_packages() -> None:
    """No file imports one that imports it, but package p imports q and q imports p."""
    graph = {"edge.p.a": {"edge.q.b"}, "edge.q.b": set(), "edge.q.c": {"edge.p.d"}, "edge.p.d": set()}
    assert sorted(set(circle(between_rooms(graph)))) == ["edge.p", "edge.q"]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import numpy as np\nfrom urllib.parse import urlsplit\nfrom edge.motion_map import prepare", set()),
        ("import time", {"time"}),
        ("from os import path", {"os", "os.path"}),
        ("from pathlib import Path\nPath('a').exists()", {"exists"}),
        ("if True:\n    from threading import Lock", {"threading", "threading.Lock"}),
        ("from datetime import datetime, timezone\nnow = datetime.now(timezone.utc)", {"now"}),
        ("text = open('a').read()", {"open"}),
        ("import edge.shipped_files", {"edge.shipped_files"}),
        ("from edge import __version__; from edge import shipped_files as assets", {"edge.shipped_files"}),
        ("from io import BytesIO", set()),
        ("from io import BytesIO, FileIO", {"io", "io.BytesIO", "io.FileIO"}),
        ("import sys\nold = sys.version_info < (3, 11)", set()),
        ("import sys\nold = sys.version_info < (3, 11) or sys.argv", {"sys"}),
        ("from sys import argv", {"sys", "sys.argv"}),
    ],
)
def test_the_purity_check_finds(code: str, found: set[str]) -> None:
    assert impurities(ast.parse(code), {"edge.motion_map"}) == found
