"""An RTSP camera that plays a file of H.264 from its beginning to each who connects: rtsp://127.0.0.1:8554/clip."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
clip = GstRtspServer.RTSPMediaFactory()
clip.set_launch(f"filesrc location={sys.argv[1]} ! qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96")
server = GstRtspServer.RTSPServer()
server.set_service("8554")
server.get_mount_points().add_factory("/clip", clip)
server.attach(None)
GLib.MainLoop().run()
