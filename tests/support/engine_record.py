"""The record of an engine."""

from edge.engines.engine_record import EngineRecord
from edge.engines.tensorrt_build_plan import BuildOptions, Platform
from tests.support.tiny_model import MANIFEST

RECORD = EngineRecord(
    MANIFEST, "fp16", Platform("10.3.0", "Orin", "8.7", "36.4.3", "12.6"), BuildOptions("fp16", 4), "ab" * 32, "cd" * 32
)
