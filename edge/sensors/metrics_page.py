"""The newest telemetry as a page for Prometheus, on a port of this machine. Shell: a socket and a thread.

One request at a time and five seconds for each: whoever is slow or many keeps others from the page, and nothing else.
"""

import contextlib
import logging
import socket
import socketserver
import time
from collections.abc import Iterator, Mapping
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from edge import threads
from edge.sensors.metric_families import families
from edge.threads import ThreadError

log = logging.getLogger(__name__)

REQUEST_SECONDS = 5.0
RETRY_SECONDS = 60.0
CLOSE_SECONDS = 1.0


class MetricsPage:
    """Served from the first `show` to `close`; never waits for those who read it."""

    def __init__(self, address: str, port: int) -> None:
        """`port`: 0 for no page."""
        self._address, self._port = address, port
        self._newest = _Newest()
        self._server: WSGIServer | None = None
        self._open_at = 0.0
        self._told = False

    def show(self, telemetry: Mapping[str, Any]) -> None:
        """What the page says from now on. Where the port is taken that is told once, and tried again now and then."""
        self._newest.telemetry = telemetry
        if self._port and self._server is None and time.monotonic() >= self._open_at:
            self._open()

    def close(self) -> None:
        """Let the port go; who dawdles over a request at this moment is not waited for."""
        server, self._server = self._server, None
        if server is None:
            return
        with contextlib.suppress(ThreadError):  # then it is closed while it serves
            threads.start("metrics-end", server.shutdown).join(CLOSE_SECONDS)
        server.server_close()

    def _open(self) -> None:
        registry = CollectorRegistry()
        registry.register(self._newest)
        kind = _Server6 if ":" in self._address else _Server
        try:
            server = make_server(self._address, self._port, make_wsgi_app(registry), kind, _Handler)
        except OSError as error:
            self._put_off(
                f"{self._address} port {self._port} cannot be had ({error.strerror}): set another [metrics] port, or "
                "end who has it"
            )
            return
        try:
            threads.start("metrics", server.serve_forever)
        except ThreadError as error:
            server.server_close()
            self._put_off(str(error))
            return
        log.info("metrics: http://%s:%d/metrics", self._address, self._port)
        self._server, self._told = server, False

    def _put_off(self, why: str) -> None:
        self._open_at = time.monotonic() + RETRY_SECONDS
        if not self._told:
            log.warning("metrics: %s; going on without the page", why)
        self._told = True


class _Newest(Collector):
    """What Prometheus's library asks at each request."""

    def __init__(self) -> None:
        self.telemetry: Mapping[str, Any] = {}

    def collect(self) -> Iterator[Metric]:
        return families(self.telemetry)


class _Server(WSGIServer):
    """One that does not ask the name service who we are."""

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()


class _Server6(_Server):
    """The same for an address of IPv6."""

    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    """One that gives up on who says nothing, and keeps no log of who asks."""

    timeout = REQUEST_SECONDS

    def log_message(self, *words: object) -> None:
        """Say nothing."""
