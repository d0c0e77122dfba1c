"""When the pictures of a camera's stream were taken, by this machine's clock. Pure."""

import math

TOLERANCE = 0.5  # seconds by which the two clocks may drift apart, until the next key frame sets it right
JUMP = 10.0  # seconds that are no drift: the stream's clock has been set, as some servers do after their first frames
STEP = 1 / 90_000  # seconds between two pictures at least


class StreamClock:
    """The packet that came quickest tells how the clocks differ, which changes at key frames alone.

    So pictures between two key frames keep their order and distance, which is that of showing and not of arriving.
    """

    def __init__(self) -> None:
        self._offset: float | None = None  # this machine's clock less the stream's
        self._least = math.inf  # the same, of the packet that came quickest since the last key frame
        self._latest = -math.inf  # time that was given

    def time(self, seconds: float, arrived: float, key: bool) -> float:
        """When a picture was taken, monotonic, s; NaN for `seconds` is a stream that does not tell, as at its begin."""
        if math.isnan(seconds):
            found = max(arrived, self._latest + STEP)
        else:
            lag = arrived - seconds
            self._least = min(self._least, lag)
            if self._offset is None or abs(lag - self._offset) > JUMP:
                self._anchor(seconds, lag)
            elif key:
                self._anchor(seconds, self._least if abs(self._least - self._offset) > TOLERANCE else self._offset)
            found = seconds + (self._offset or 0.0)
        self._latest = max(self._latest, found)
        return found

    def _anchor(self, seconds: float, offset: float) -> None:
        """Have the clocks differ by `offset` from here on, or so much more that times go on."""
        self._offset = max(offset, self._latest + STEP - seconds)
        self._least = math.inf
