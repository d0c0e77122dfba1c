"""Serves the newest telemetry to Prometheus on a port of this machine. Shell: a socket and a thread.

One request at a time, with five seconds for each: slow or many clients delay each other, and nothing else.
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
from edge.sensors.prometheus_metrics import families
from edge.threads import ThreadError

log = logging.getLogger(__name__)

REQUEST_SECONDS = 5.0
RETRY_SECONDS = 60.0
CLOSE_SECONDS = 1.0


class PrometheusPage:
    """Served from the first `update` to `close`; never waits for its clients."""

    def __init__(self, address: str, port: int) -> None:
        """`port`: 0 for no page."""
        self._address, self._port = address, port
        self._newest = _Newest()
        self._server: WSGIServer | None = None
        self._retry_at = 0.0
        self._logged = False

    def update(self, telemetry: Mapping[str, Any]) -> None:
        """Serve this telemetry from now on. A port that is taken is logged once and retried."""
        self._newest.telemetry = telemetry
        if self._port and self._server is None and time.monotonic() >= self._retry_at:
            self._open()

    def close(self) -> None:
        """Release the port, without waiting for a request in progress."""
        server, self._server = self._server, None
        if server is None:
            return
        with contextlib.suppress(ThreadError):  # then it is closed while serving
            threads.start("metrics-end", server.shutdown).join(CLOSE_SECONDS)
        server.server_close()

    def _open(self) -> None:
        registry = CollectorRegistry()
        registry.register(self._newest)
        kind = _Server6 if ":" in self._address else _Server
        try:
            server = make_server(self._address, self._port, make_wsgi_app(registry), kind, _Handler)
        except OSError as error:
            self._retry_later(
                f"{self._address} port {self._port} is unavailable ({error.strerror}): set another [metrics] port, or "
                "stop the program that uses it"
            )
            return
        try:
            threads.start("metrics", server.serve_forever)
        except ThreadError as error:
            server.server_close()
            self._retry_later(str(error))
            return
        log.info("metrics: http://%s:%d/metrics", self._address, self._port)
        self._server, self._logged = server, False

    def _retry_later(self, why: str) -> None:
        self._retry_at = time.monotonic() + RETRY_SECONDS
        if not self._logged:
            log.warning("metrics: %s; retrying every minute", why)
        self._logged = True


class _Newest(Collector):
    """The collector that prometheus_client calls at each request."""

    def __init__(self) -> None:
        self.telemetry: Mapping[str, Any] = {}

    def collect(self) -> Iterator[Metric]:
        return families(self.telemetry)


class _Server(WSGIServer):
    """A server that makes no DNS query for its own name."""

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()


class _Server6(_Server):
    """The same for an IPv6 address."""

    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    """A handler that drops silent clients and logs no requests."""

    timeout = REQUEST_SECONDS

    def log_message(self, *words: object) -> None:
        """Log nothing."""
