"""What NVIDIA's camera service, Argus, says of itself where a CSI camera cannot be opened. Pure.

`nvarguscamerasrc` writes its errors to stdout and stderr and ends its stream without a reason. The sentences are those
of JetPack 4 to 6, some of them as public issues quote them, the others from memory; none was seen here.
"""

from typing import NamedTuple

SERVICE = "nvargus-daemon"
RESTART = f"sudo systemctl restart {SERVICE}, or set restart_argus = true in [cameras]"
SILENT = f"Argus may be stuck: {RESTART}"  # where it says nothing at all

# The first that stands in what was written is the cause; later ones follow from it.
_CAUSES = (
    ("Permission denied", False, "may not use Argus: run install.sh again, or add this user to the group `video`"),
    ("No cameras available", False, "Argus finds no camera: check its cable and its overlay (jetson-io)"),
    ("Invalid camera device", False, "Argus has no camera of this number: they are counted from csi://0"),
    ("Connecting to nvargus-daemon failed", True, f"Argus does not run: {RESTART}"),
    ("Cannot create camera provider", True, f"Argus does not answer: {RESTART}"),
    ("Failed to create CaptureSession", True, f"Argus is stuck, or another program has this camera: {RESTART}"),
    ("Error Timeout", True, f"Argus is stuck: {RESTART}"),
    ("Error InvalidState", True, f"Argus is stuck: {RESTART}"),
)  # fmt: skip


class ArgusFault(NamedTuple):
    """What is wrong, with the remedy; `stuck`: a restart of the service may mend it."""

    sentence: str
    stuck: bool


def argus_fault(written: str) -> ArgusFault | None:
    """The fault in what `nvarguscamerasrc` has written; None where nothing of it is known."""
    return next((ArgusFault(sentence, stuck) for sign, stuck, sentence in _CAUSES if sign in written), None)
