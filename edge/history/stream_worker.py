"""The program that copies a camera's own H.264: it reads the stream, decodes nothing, and sends its packets. Shell.

Started by `edge.history.stream_packets` as `python -m edge.history.stream_worker CHANNEL`, an inherited descriptor. The
source arrives over the channel, so that no password shows in the process list. It ends when the channel is closed, and
never retries. What a camera sends is hostile: FFmpeg may open network addresses alone, the kernel limits the memory,
and if that runs out all the same, this process goes first.
"""

import contextlib
import math
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from edge import threads
from edge.cameras.ffmpeg_options import ffmpeg_options
from edge.cameras.memory_limits import limit_data_segment
from edge.history.stream_messages import StreamForm, StreamPacket, pack
from edge.sources import RtspTransport, Source, from_json
from edge.threads import ThreadError

REQUEST_BYTES = 1 << 18
OPEN_SECONDS, READ_SECONDS = 10.0, 10.0
MAX_OOM_SCORE = "1000"
MISSING = "PyAV is not installed: pip install 'korsal-edge[clips]'"


def main(channel: socket.socket) -> int:
    """Copy until camera or daemon end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the daemon decides when this process ends
    source = from_json(channel.recv(REQUEST_BYTES))
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # libraries write URLs with passwords
    _be_modest()
    with contextlib.suppress(ConnectionError):
        try:
            threads.start("daemon", _end_with, channel)
            channel.sendall(pack(_copied(source, channel)))
        except ThreadError as error:
            channel.sendall(pack(str(error)))
    return 0


def _copied(source: Source, channel: socket.socket) -> str:
    """Copy over the first transport that gives a stream; the sentence of what has ended it."""
    try:
        import av
        import av.error
        import av.logging
    except ImportError:
        return MISSING
    av.logging.set_level(None)
    fault = ""
    for transport in source.transports:
        try:
            return _copy(av, source, transport, channel)
        except (av.error.FFmpegError, ValueError, IndexError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__  # its text holds the URL
            fault = f"its stream cannot be opened a second time ({reason})"
    return fault


def _copy(av: Any, source: Source, transport: RtspTransport, channel: socket.socket) -> str:
    """Send what comes; what has ended it, once something has come. Raises FFmpegError, ValueError or IndexError."""
    options = dict(pair.split(";", 1) for pair in ffmpeg_options(source.kind, transport).split("|"))
    options |= {"allowed_media_types": "video", "fflags": "nobuffer"}  # what it looks at first would come late
    with av.open(source.target, options=options, timeout=(OPEN_SECONDS, READ_SECONDS)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        size = (int(context.width or 0), int(context.height or 0))
        channel.sendall(pack(StreamForm(str(context.name), size, bytes(context.extradata or b""))))
        if context.name != "h264":
            return ""
        try:
            for packet in container.demux(stream):
                if packet.size:
                    seconds = math.nan if packet.pts is None else float(packet.pts * packet.time_base)
                    channel.sendall(pack(StreamPacket(bytes(packet), seconds, time.monotonic())))
        except (av.error.FFmpegError, ValueError):
            return "its stream has broken off"
    return "its stream has ended"


def _end_with(channel: socket.socket) -> None:
    """End this process, whatever it waits for, as soon as the daemon closes the channel."""
    with contextlib.suppress(OSError):
        while channel.recv(REQUEST_BYTES):
            pass
    os._exit(0)


def _be_modest() -> None:
    """Detection goes first, in processor and memory."""
    os.nice(threads.NICENESS)
    limit_data_segment()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(MAX_OOM_SCORE)


if __name__ == "__main__":
    sys.exit(main(socket.socket(fileno=int(sys.argv[1]))))
