"""Why a camera could not be opened: what it answers itself, and what to check. Shell over sockets."""

from edge.cameras import http_check
from edge.cameras.gstreamer_pipelines import is_rtsp
from edge.cameras.rtsp_check import examine
from edge.cameras.video_file import CaptureError
from edge.sources import RtspTransport, Source

UDP_SILENCE_SECONDS = 4.0  # GStreamer gives up after five
_REMEDIES = {
    "v4l2": "another program may hold it, or it is no camera: see `fuser -v` and `v4l2-ctl --list-devices`",
    "rtsp": 'check its path, user and password, and that it sends H.264, H.265 or MJPEG; some want transport = "udp"',
    "http": "check its address, and that it sends MJPEG or another video that FFmpeg knows",
    "tcp:": "check its port, and that it sends MPEG-TS or another video that FFmpeg knows",
    "udp:": "check its port, and that something sends MPEG-TS or another video that FFmpeg knows there",
    "csi": "check the ribbon cable and `systemctl status nvargus-daemon`",
}


class TransportRefusedError(CaptureError):
    """The camera refuses this transport, but may accept the other."""


def raise_refusal(source: Source, transport: RtspTransport, waited: float) -> None:
    """Raise the reason that the camera itself gives for not being opened, or that no packet arrived while we waited."""
    reason, status = examine(source.target, transport)
    if source.target.lower().startswith(("http://", "https://")):
        reason = http_check.refusal(source.target)
    if reason:
        raise CaptureError(f"{source.redacted}: {reason}")
    if status:
        if len(source.transports) > 1:
            remedy = (
                "it accepts neither TCP nor UDP, perhaps only multicast: enable RTP over TCP or UDP in its settings"
            )
        else:
            other = "udp" if transport == "tcp" else "tcp"
            remedy = f'set transport = "{other}" for this camera, or leave it out'
        raise TransportRefusedError(f"{source.redacted}: refuses to send over {transport.upper()} ({status}): {remedy}")
    if transport == "udp" and waited > UDP_SILENCE_SECONDS:
        firewall = "let UDP through the firewall between them, or set the camera to RTP over TCP"
        raise CaptureError(f"{source.redacted}: sends over UDP, but no picture arrives: {firewall}")


def remedy(source: Source) -> str:
    """What to check where no backend could open the camera."""
    return _REMEDIES[
        "rtsp" if is_rtsp(source) else source.target.lower()[:4] if source.kind == "stream" else source.kind
    ]
