"""Files of `propose`: whether they are still of the video that has their name, and where older ones are kept. Shell."""

import os
import re
from contextlib import suppress
from pathlib import Path

from edge import files
from edge.cameras.video_file import CaptureError, probe
from train.datasets.annotation_records import AnnotationError
from train.datasets.cvat import read_cvat

LONGEST = 230  # bytes of a video's name; a file system has room for 255, with endings
UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\\\\\ufffe\uffff]")  # in XML, or a folder to CVAT
DIGEST = re.compile(rb"<sha256>([0-9a-f]{64})</sha256>")


def digest(video: Path) -> str:
    """By which a proposal knows its video; "" where that cannot be read."""
    with suppress(OSError):
        return files.sha256_of(video)
    return ""


def name_problem(name: str) -> str:
    """Why no file of CVAT can be that of a video of this name, as the end of a sentence; "" where one can."""
    if UNWRITABLE.search(name):
        return "its name holds a character that CVAT's files cannot have: rename it"
    if len(os.fsencode(name.rpartition("/")[2])) > LONGEST:
        return f"its name is longer than {LONGEST} bytes: shorten it"
    return ""


def outdated(proposal: Path, video: Path) -> str:
    """Why a proposal is not of the pictures of its video, as the end of a sentence; "" where it may be.

    One that does not name its video's digest, as of earlier versions or of CVAT, is judged by size and time.
    """
    try:
        known = read_cvat(proposal)
        told = DIGEST.search(proposal.read_bytes())
        if told is not None:
            return "was of another video" if digest(video) not in ("", told[1].decode()) else ""
        if known.size not in (None, size := probe(video).size):
            return f"was of another video than this of {size[0]}x{size[1]} pixels"
        return "was older than the video" if video.stat().st_mtime > proposal.stat().st_mtime else ""
    except AnnotationError:
        return "could not be read"
    except (CaptureError, OSError):
        return ""


def kept(proposal: Path) -> Path:
    """A copy of a proposal under a name that no other file has; returns where it is. Raises OSError."""
    copy, number = proposal.with_name(f"{proposal.name}.before"), 1
    while copy.exists():
        number += 1
        copy = proposal.with_name(f"{proposal.name}.before-{number}")
    files.write_atomically(copy, proposal.read_bytes())
    return copy
