"""Shell. A file's bytes, where there are not too many of them."""

from io import BytesIO
from pathlib import Path
from typing import IO

MAX_BYTES = 2 << 30  # bytes
CHUNK = 1 << 20


def read(path: Path, most: int = MAX_BYTES) -> bytes:
    """All of them, of a pipe too. ValueError where there are more than `most`; OSError."""
    with path.open("rb") as file:
        return rest_of(file, most)


def rest_of(file: IO[bytes], most: int = MAX_BYTES) -> bytes:
    """Likewise of an open file, from where it stands."""
    content = BytesIO()
    while part := file.read(CHUNK):  # read() allocates what is requested at once: never more than a chunk
        if content.tell() + len(part) > most:
            raise ValueError(f"it is larger than {most >> 20:,} MiB")
        content.write(part)
    return content.getvalue()
