"""Configuration files of a few lines."""

from pathlib import Path

SMALLEST = '[cameras.door]\nsource = "/dev/video0"\n'


def written(folder: Path, text: str) -> Path:
    """`config.toml` with this text."""
    file = folder / "config.toml"
    file.write_text(text)
    return file
