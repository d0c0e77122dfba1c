"""The files of clips to teach with: where they are, what they are called, how one is written. Shell."""

import json
from collections.abc import Mapping
from pathlib import Path

from edge import files
from edge.history.clip_names import FACTS
from edge.history.store_files import CLIP, check_space


def write(folder: Path, name: str, facts: Mapping[str, object], clip: bytes) -> Path:
    """A clip with what is known of it, for this user alone; returns its path. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_space(folder, len(clip))
    path = folder / f"{name}{CLIP}"
    for target, content in (
        (path.with_suffix(FACTS), json.dumps(facts, ensure_ascii=False).encode()),
        (path, clip),
    ):
        files.write_atomically(target, content)
        target.chmod(0o600)
    return path


def teaching_folder(directory: Path, device: str) -> Path:
    """Where a device keeps them, beside its outbox."""
    return directory / f"{device}.teaching"
