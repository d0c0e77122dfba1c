"""The one XML file in a ZIP, as CVAT delivers its exports. Shell."""

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from train.safe_reading import bounded_file

SUFFIX = ".zip"
XML = ".xml"
BEGIN = b"PK\x03\x04"


def is_zip(path: Path) -> bool:
    """Whether a file is to be unpacked: it is named so, or is one whatever its name. Raises OSError."""
    if path.suffix.lower() == SUFFIX:
        return True
    with path.open("rb") as file:
        return file.read(len(BEGIN)) == BEGIN


def read(path: Path) -> bytes:
    """The content of the only XML file in it. ValueError where there is none, or several, or it is broken; OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = [one for one in archive.infolist() if not one.is_dir() and _is_xml(PurePosixPath(one.filename))]
            if len(found) != 1:
                raise ValueError(f"the ZIP holds {len(found) or 'no'} XML file{'s' * (len(found) > 1)}")
            if found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("the ZIP is packed otherwise than CVAT does; unpack it")
            with archive.open(found[0]) as file:
                return bounded_file.rest_of(file)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # the last: encrypted
        raise ValueError(f"the ZIP cannot be unpacked: {error}") from error


def _is_xml(name: PurePosixPath) -> bool:
    """Whether it is one of CVAT, not what macOS puts beside it."""
    return name.suffix.lower() == XML and not name.name.startswith("._")
