"""Notifies systemd of the daemon's state, over the socket in NOTIFY_SOCKET (sd_notify(3)). Shell."""

import logging
import os
import socket

log = logging.getLogger(__name__)

START_SECONDS = 3600  # that a long start may go on after each announcement
SEND_SECONDS = 1.0  # timeout, so that a systemd that hangs does not stop the daemon


def notify(*states: str) -> None:
    """Send states such as "READY=1" and "STATUS=..."; does nothing without systemd."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # a name in the abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(SEND_SECONDS)
            channel.sendto("\n".join(states).encode(), address)
    except OSError as error:
        log.warning("systemd could not be notified of %s: %s", states[0], error)


def announce_start(text: str) -> None:
    """Show what a long start is doing, "" once that is over; each time systemd waits START_SECONDS more for READY."""
    extension = [f"EXTEND_TIMEOUT_USEC={START_SECONDS * 1_000_000}"] if text else []
    notify(*extension, f"STATUS={text}")


def watchdog_interval() -> float:
    """Seconds between two watchdog notifications: a third of systemd's limit; 0 without a watchdog."""
    allowed = os.environ.get("WATCHDOG_USEC", "")
    return int(allowed) / 1e6 / 3 if allowed.isdigit() else 0.0
