"""The newest encoded frames of one camera, and the clips that are cut from them. Pure.

Frames are kept from the key frame before `seconds_before` on, and as long as a clip still needs them. A ring that grows
beyond LARGEST_RING ends the clips that hold it.
"""

from dataclasses import dataclass
from itertools import takewhile

from edge.history.h264 import PPS, SPS, EncodedFrame
from edge.history.mp4 import Sample, VideoTrack, mp4

LARGEST_RING = 48 * 1024 * 1024  # bytes; a clip of it fits into the store's queue


@dataclass(frozen=True)
class ClipLengths:
    """Seconds that a clip has before its event and after, and at most in all."""

    before: float
    after: float
    most: float


@dataclass(frozen=True)
class FinishedClip:
    """A clip as a file; `start`: seconds from the event's start, mostly negative."""

    event_id: str
    content: bytes
    start: float


@dataclass
class _WantedClip:
    started: float  # of the event, s
    end: float | None = None  # of the clip, once it is known


class ClipRing:
    """Add frames and events; take the clips. Times are seconds of the frames' clock."""

    def __init__(self, size: tuple[int, int], lengths: ClipLengths) -> None:
        """`size`: (width, height) of the encoded frames."""
        self._size, self._lengths = size, lengths
        self._samples: list[Sample] = []
        self._bytes = 0
        self._sps = self._pps = b""
        self._wanted: dict[str, _WantedClip] = {}

    def add(self, frame: EncodedFrame, seconds: float) -> list[FinishedClip]:
        """A frame that was taken at `seconds`; the clips that are complete with it."""
        self._sps = frame.parameters(SPS) or self._sps
        self._pps = frame.parameters(PPS) or self._pps
        if self._samples or frame.key:
            self._samples.append(Sample(seconds, frame.sample(), frame.key))
            self._bytes += len(self._samples[-1].content)
        due = [name for name, one in self._wanted.items() if seconds >= self._end(one)]
        if self._bytes > LARGEST_RING:
            due = list(self._wanted)
        finished = self._finished(due)
        self._trim(seconds)
        return finished

    def begin(self, event_id: str, started: float) -> None:
        """An event has begun, at `started`."""
        self._wanted.setdefault(event_id, _WantedClip(started))

    def end(self, event_id: str, ended: float) -> None:
        """It has ended, at `ended`; unknown ones are ignored."""
        if event_id in self._wanted and self._wanted[event_id].end is None:
            self._wanted[event_id].end = ended + self._lengths.after

    def flush(self) -> list[FinishedClip]:
        """All clips as far as they go, because no more frames come."""
        return self._finished(list(self._wanted))

    def _end(self, wanted: _WantedClip) -> float:
        longest = wanted.started - self._lengths.before + self._lengths.most
        return longest if wanted.end is None else min(longest, wanted.end)

    def _finished(self, event_ids: list[str]) -> list[FinishedClip]:
        clips = []
        for event_id in event_ids:
            wanted = self._wanted.pop(event_id)
            samples = self._between(wanted.started - self._lengths.before, self._end(wanted))
            if samples and self._sps and self._pps:
                content = mp4(VideoTrack(self._size, self._sps, self._pps), samples)
                clips.append(FinishedClip(event_id, content, samples[0].seconds - wanted.started))
        return clips

    def _between(self, begin: float, end: float) -> list[Sample]:
        """The frames from the last key frame before `begin` on, until `end`.

        Of frames that are not decoded in the order of showing, those after the first that is shown too late are left
        out: they may refer to it.
        """
        first = self._key_before(begin)
        return list(takewhile(lambda sample: sample.seconds <= end, self._samples[first:]))

    def _key_before(self, seconds: float) -> int:
        keys = [place for place, sample in enumerate(self._samples) if sample.key and sample.seconds <= seconds]
        return keys[-1] if keys else 0

    def _trim(self, now: float) -> None:
        """Forget what no clip needs."""
        needed = [one.started for one in self._wanted.values()]
        first = self._key_before(min([now, *needed]) - self._lengths.before)
        if self._bytes > LARGEST_RING:
            first = max(first, self._key_before(now))
        self._bytes -= sum(len(sample.content) for sample in self._samples[:first])
        del self._samples[:first]
