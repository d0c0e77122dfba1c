"""A published checkpoint → ours, by whichever project wrote it. Shell."""

from pathlib import Path

from convert import centernet_checkpoint, published_file, yowo_checkpoint
from convert.published_file import CheckpointOptions
from edge.manifest import Manifest
from train import checkpoint as checkpoints
from train.checkpoint import CheckpointError


def convert(source: Path, output: Path, options: CheckpointOptions) -> Manifest:
    """Write the published checkpoint `source` as ours to `output`; raises CheckpointError."""
    if output.suffix != ".pt":
        raise CheckpointError(f"{output}: give -o a name that ends with .pt")
    if output.exists() and source.exists() and output.samefile(source):
        raise CheckpointError(f"{output}: is the file to convert itself; give -o another name")
    file = published_file.read(source)
    is_yowo = yowo_checkpoint.is_yowo(file, options)
    made = (yowo_checkpoint.converted if is_yowo else centernet_checkpoint.converted)(file, options)
    checkpoints.save(made, output)
    return made.manifest
