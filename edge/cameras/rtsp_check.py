"""Why a stream cannot be opened: asks its host, and its RTSP server, directly. Shell over sockets.

OpenCV only reports that it could not. Three questions are asked here: does anything answer at that address, what does
the server reply to DESCRIBE with the user and password of the URL, and does it SETUP the video over TCP, or over UDP?
"""

import socket
import time
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from edge.cameras.rtsp_client import PORTS, RtspReply, RtspSession, header, video_address
from edge.sources import RtspTransport

CONNECT_SECONDS = 5.0
REPLY_SECONDS = 5.0

STATUS_NAMES = {200: "OK", 400: "Bad Request", 461: "Unsupported Transport"}
UNAVAILABLE = 503
PAUSES = (0.5, 1.0)  # seconds before an unavailable server is asked again
UNRELATED_TO_TRANSPORT = (401, 403, 404, 453, 454, 503)  # statuses


def unreachable(url: str) -> str | None:
    """Why nothing answers at the stream's address, and the remedy; None where something does."""
    parts = urlsplit(url)
    if parts.scheme == "udp":
        return None
    host, port = str(parts.hostname), parts.port or PORTS.get(parts.scheme, 0)
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except (socket.gaierror, UnicodeError):
        return f"the name {host} is not known in this network: correct it, or give the camera's address"
    except ConnectionRefusedError:
        return f"nothing listens at port {port} of {host}: check that the camera serves streams, and the port"
    except TimeoutError:
        return f"{host} does not answer: check that the camera is on, its cable and its address"
    except OSError as error:
        return f"{host} cannot be reached ({error.strerror}): check the network, and the camera's address"
    return None


class RtspFinding(NamedTuple):
    """Why an RTSP server refuses a URL: a `reason` with its remedy, or the status that refuses the transport."""

    reason: str | None = None
    transport_status: str | None = None


NOTHING_FOUND = RtspFinding()


def examine(url: str, transport: RtspTransport, seconds: float = REPLY_SECONDS) -> RtspFinding:
    """Why an RTSP server refuses this URL, or this transport; nothing where its replies cannot be understood.

    A server may reply that it is unavailable while it is still closing an earlier connection: then it is asked again.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("rtsp", "rtsps"):
        return NOTHING_FOUND
    for pause in (*PAUSES, None):
        try:
            described, setup = _describe_and_setup(parts, transport, seconds)
        except (OSError, ValueError):
            return NOTHING_FOUND  # the general message has to do
        if described != UNAVAILABLE or pause is None:
            break
        time.sleep(pause)
    if described != 200:
        return RtspFinding(_reason(described, parts.username is not None))
    if setup is None or setup.status in UNRELATED_TO_TRANSPORT:
        return RtspFinding(_reason(setup.status, parts.username is not None)) if setup else NOTHING_FOUND
    return RtspFinding(transport_status=_refused(setup, transport))


def _reason(status: int, has_login: bool) -> str | None:
    if status == 401:
        given = "refuses this user and password: correct them (@ : / # in them are written %40 %3A %2F %23)"
        return given if has_login else "asks for a user and a password: write rtsp://user:password@host/path"
    if status == 403:
        return "forbids this stream to this user: give the user the right to view it"
    if status in (404, 454):
        return "has no stream under this path: look it up in the camera's settings"
    if status == 453:
        return "is serving as many viewers as it can: close another one"
    if status == UNAVAILABLE:
        return "has no picture to give (503 Service Unavailable): restart the camera, or close another viewer"
    return None


def _describe_and_setup(parts: SplitResult, transport: RtspTransport, seconds: float) -> tuple[int, RtspReply | None]:
    """The status of the reply to DESCRIBE, and the reply to SETUP where there is video to set up."""
    with RtspSession(parts, seconds) as session:
        described = session.request("DESCRIBE", session.address, "Accept: application/sdp")
        if described.status != 200 or b"m=video" not in described.body:
            return described.status, None
        requested = {"tcp": "RTP/AVP/TCP;unicast;interleaved=0-1", "udp": "RTP/AVP;unicast;client_port=50000-50001"}
        address = video_address(described, session.address)
        setup = session.request("SETUP", address, f"Transport: {requested[transport]}")
        session.tear_down(setup)
        return 200, setup


def _refused(setup: RtspReply, transport: RtspTransport) -> str | None:
    """The status with which the server refuses this transport; 200 where it offers the other one instead."""
    status, offered = setup.status, header(setup.headers, "transport").upper()
    if status < 300 and (not offered or ("TCP" in offered) == (transport == "tcp")):
        return None
    return f"{status} {STATUS_NAMES.get(status, '')}".rstrip()
