"""The options that OpenCV passes to FFmpeg for a source. Pure.

A stream from the network may use network protocols only, and must be video itself: FFmpeg's readers of lists (HLS,
DASH, concat, SDP) open whatever a list names. A playlist of 200 playlists, each of which named 200 more, made FFmpeg
request 15,400 a minute and take 5.5 GB.
"""

from edge.sources import RtspTransport, SourceKind

OPTIONS_VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
# FFmpeg's protocols except for files
NETWORK_PROTOCOLS = "crypto,data,http,httpproxy,https,rtmp,rtp,rtsp,rtsps,srtp,tcp,tls,udp"
VIDEO_DEMUXERS = (
    "asf,av1,avi,dhav,flv,h264,hevc,ivf,jpeg_pipe,live_flv,m4v,matroska,mjpeg,mov,mp4,mpeg,mpegts,mpegvideo,mpjpeg,mxg,"
    "nut,obu,ogg,rtsp,vvc"
)  # FFmpeg's demuxers that open nothing but what they are given


def ffmpeg_options(kind: SourceKind, transport: RtspTransport = "tcp") -> str:
    """The value of OPTIONS_VARIABLE for a source of this kind."""
    if kind == "file":
        return "protocol_whitelist;file"
    return f"rtsp_transport;{transport}|protocol_whitelist;{NETWORK_PROTOCOLS}|format_whitelist;{VIDEO_DEMUXERS}"
