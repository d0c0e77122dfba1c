"""Which H.264 encoder this machine has: the first that works. Shell.

Tried in this order: the hardware encoder of a Jetson, libx264 of PyAV, x264 and OpenH264 of GStreamer.
"""

import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np

from edge.history.encoder import Encoder, EncoderError, EncoderFormat
from edge.history.gstreamer_encoder import GStreamerEncoder, has_element
from edge.history.pyav_encoder import PyavEncoder

TRIAL_SECONDS = 20.0  # within which an encoder must have encoded a frame; a busy Jetson loads its libraries slowly
TRIAL_FRAMES = 60  # some encoders hold frames back
NO_ENCODER = (
    "there is no H.264 encoder: install one, with apt-get install gstreamer1.0-tools gstreamer1.0-plugins-ugly or with "
    "pip install 'korsal-edge[clips]'"
)
ORDER = ("nvv4l2h264enc", "PyAV", "x264enc", "openh264enc")


def available(order: tuple[str, ...] = ORDER) -> Iterator[str]:
    """The names of the encoders that seem to be there, the best first; whether they work is found by trying."""
    for name in order:
        if find_spec("av") is not None if name == "PyAV" else has_element(name):
            yield name


def open_encoder(name: str, form: EncoderFormat) -> Encoder:
    """An encoder by its name in ORDER. Raises EncoderError."""
    return PyavEncoder(form) if name == "PyAV" else GStreamerEncoder(name, form)


def first_that_works(
    form: EncoderFormat, notify: Callable[[str], None], order: tuple[str, ...] = ORDER
) -> tuple[str, Encoder]:
    """The best encoder that has encoded a trial of this format, and its name. Raises EncoderError where there is none.

    `notify`: is told of those that are there and do not work.
    """
    for name in available(order):
        try:
            _try(name, form)
            return name, open_encoder(name, form)
        except EncoderError as error:
            notify(str(error))
    raise EncoderError(NO_ENCODER)


def _try(name: str, form: EncoderFormat) -> None:
    """Raise EncoderError where it does not encode, within TRIAL_SECONDS."""
    encoder = open_encoder(name, form)
    watchdog = threading.Timer(TRIAL_SECONDS, encoder.close)
    watchdog.daemon = True
    watchdog.start()
    grey = np.full((form.size[1] * 3 // 2, form.size[0]), 128, np.uint8)
    try:
        frames = [frame for _ in range(TRIAL_FRAMES) for frame in encoder.encode(grey)]
        frames += encoder.finish()
    finally:
        watchdog.cancel()
        encoder.close()
    if len(frames) != TRIAL_FRAMES or not frames[0].key:
        raise EncoderError(f"{name}: gives {len(frames)} of {TRIAL_FRAMES} frames")
