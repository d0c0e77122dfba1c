"""What OpenCV is to tell FFmpeg of a source. Pure.

What comes from the network names nothing but the network, and is video itself: FFmpeg's readers of lists (HLS, DASH,
concat, SDP) follow whatever a list names. A playlist that named 200 of its kind, each of which did the same, had FFmpeg
ask for 15,400 a minute and took 5.5 GB.
"""

from edge.sources import RtspTransport, SourceKind

OPTIONS_VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
NETWORK_PROTOCOLS = (
    "crypto,data,http,httpproxy,https,rtmp,rtp,rtsp,rtsps,srtp,tcp,tls,udp"  # FFmpeg's protocols but for files
)
VIDEO_DEMUXERS = (
    "asf,av1,avi,dhav,flv,h264,hevc,ivf,jpeg_pipe,live_flv,m4v,matroska,mjpeg,mov,mp4,mpeg,mpegts,mpegvideo,mpjpeg,mxg,"
    "nut,obu,ogg,rtsp,vvc"
)  # FFmpeg's demuxers that read what they are given and open nothing else


def ffmpeg_options(kind: SourceKind, transport: RtspTransport = "tcp") -> str:
    """The value of VARIABLE for a source of this kind."""
    if kind == "file":
        return "protocol_whitelist;file"
    return f"rtsp_transport;{transport}|protocol_whitelist;{NETWORK_PROTOCOLS}|format_whitelist;{VIDEO_DEMUXERS}"
