"""An ONNX file → the same with preprocessing and motion map inside, checked against the daemon's own. Shell."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

from convert import graft, graft_check, onnx_file
from convert.calibration import FramePair
from convert.comparison import parity
from convert.graft import GraftError
from convert.graft_check import GraftParity
from edge.engines import memory_file, onnxruntime_engine
from edge.inference import Engine
from edge.manifest import Manifest


def graft_file(
    source: Path, output: Path, pairs: Iterable[FramePair] = (), reference: Engine | None = None
) -> tuple[Manifest, GraftParity]:
    """Write `source` with its preprocessing inside to `output`, which may be the same.

    The file appears only after ONNX Runtime gave fitted frames and motion maps as the daemon computes them, for real
    frames and for made ones, and the outputs that `reference` gives for these; None: the network of `source` itself.
    Raises GraftError, OnnxFileError, EngineError.
    """
    model, manifest = onnx_file.read(source)
    grafted = graft.with_preprocessing(model, manifest)
    network = reference or onnxruntime_engine.load(source, threads=2)
    changed = replace(manifest, preprocessing="graph")
    memory_file.copy_beside(source, output, manifest.memory)
    with onnx_file.candidate(output) as candidate:
        onnx_file.write(grafted, changed, candidate)
        engine = onnxruntime_engine.load(candidate, threads=2, preprocessing="graph")
        found, seen = graft_check.compare(engine, chain(pairs, graft_check.made_up(manifest)))
        if not found.within_tolerance:
            raise GraftError(
                f"{source}: with its preprocessing inside it differs from the daemon's by {found}; "
                "use the versions that pyproject.toml pins"
            )
        answers = parity(((network.infer(given), outputs) for given, outputs in seen), manifest.input_size)
        if not answers.within_tolerance:
            raise GraftError(
                f"{source}: behind its own preprocessing the network differs by {answers}; export it again"
            )
        onnx_file.accept(candidate, output)
    return changed, found
