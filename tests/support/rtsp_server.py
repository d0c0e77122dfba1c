"""A real RTSP server, GStreamer's own, run with the system's Python.

Usage: `python3 rtsp_server.py PORT CODEC [LOGIN [PEM]]`

It serves a test picture of 320x240 at 25 frames per second as rtsp://127.0.0.1:PORT/live. CODEC is h264, h265, jpeg or
`frozen`: H.264 of a picture that never changes, or `rare`: H.264 with a key frame every ten seconds; with `-udp` behind
it, it goes over UDP alone. LOGIN is USER:PASSWORD for Digest, or `basic:USER:PASSWORD`; PEM is a file with certificate
and key, for rtsps. Prints `ready` once it listens.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

CODECS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph264pay",
    "rare": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=250 ! rtph264pay",
    "jpeg": "jpegenc ! rtpjpegpay",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph265pay",
}

ROLE = "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"


def factory(wanted: str, login: bool) -> GstRtspServer.RTSPMediaFactory:
    codec, _, transport = wanted.partition("-")
    pattern = "black" if codec == "frozen" else "ball"
    made = GstRtspServer.RTSPMediaFactory()
    made.set_launch(
        f"videotestsrc is-live=true pattern={pattern} ! video/x-raw, width=320, height=240, framerate=25/1 ! "
        f"videoconvert ! video/x-raw, format=I420 ! {CODECS.get(codec, CODECS['h264'])} name=pay0 pt=96"
    )
    made.set_shared(True)
    if transport == "udp":
        made.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
    if login:
        made.add_role_from_structure(Gst.Structure.new_from_string(ROLE))
    return made


def guard(login: str, pem: str | None) -> GstRtspServer.RTSPAuth:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if login.startswith("basic:"):
        user, password = login.split(":", 2)[1:]
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(*login.split(":", 1), token)
    if pem:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(pem))
    return auth


def main(port: str, codec: str, login: str = "", pem: str | None = None) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    if login:
        server.set_auth(guard(login, pem))
    server.get_mount_points().add_factory("/live", factory(codec, bool(login)))
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
