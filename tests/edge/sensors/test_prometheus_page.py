import http.client
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edge.sensors import prometheus_page
from edge.sensors.prometheus_page import PrometheusPage
from tests.support.ports import free_port
from tests.support.waiting import wait_for


@contextmanager
def page(port: int, address: str = "127.0.0.1") -> Iterator[PrometheusPage]:
    shown = PrometheusPage(address, port)
    try:
        yield shown
    finally:
        shown.close()


def get(port: int, path: str = "/metrics", method: str = "GET", address: str = "127.0.0.1") -> tuple[int, str, str]:
    """Status, content type, text."""
    connection = http.client.HTTPConnection(address, port, timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
    finally:
        connection.close()


def test_the_newest_telemetry_is_what_prometheus_gets() -> None:
    port = free_port()
    with page(port) as shown:
        shown.update({"connections": 1})
        status, kind, text = get(port)
        assert (status, kind.partition(";")[0]) == (200, "text/plain")
        assert "korsal_broker_connections_total 1.0" in text.splitlines()
        shown.update({"connections": 2})
        assert "korsal_broker_connections_total 2.0" in get(port)[2].splitlines()


def test_a_port_of_0_is_no_page() -> None:
    before = threading.active_count()
    with page(0) as shown:
        shown.update({"connections": 1})
        assert threading.active_count() == before


def test_it_listens_on_its_address_alone() -> None:
    port = free_port()
    with page(port) as shown:
        shown.update({})
        assert get(port)[0] == 200
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", port), timeout=5):
            pass


def test_it_listens_on_ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
            port = probe.getsockname()[1]
    except OSError:
        pytest.skip("this machine has no IPv6")
    with page(port, "::1") as shown:
        shown.update({"connections": 1})
        assert get(port, address="::1")[0] == 200


def test_an_occupied_port_is_logged_once_and_taken_when_it_is_free(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(prometheus_page, "RETRY_SECONDS", 0.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        shown = PrometheusPage("127.0.0.1", port)
        for _ in range(3):
            shown.update({"connections": 1})
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "set another [metrics] port, or stop the program that uses it" in caplog.text
    shown.update({"connections": 1})
    assert get(port)[0] == 200
    shown.close()


def test_an_address_of_another_machine_costs_only_the_page(caplog: pytest.LogCaptureFixture) -> None:
    with page(free_port(), "192.0.2.1") as shown:  # TEST-NET-1, RFC 5737
        shown.update({})
    assert len(caplog.records) == 1


def test_closed_it_lets_the_port_go() -> None:
    port = free_port()
    for _ in range(2):
        with page(port) as shown:
            shown.update({})
            assert get(port)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        get(port)


def test_other_requests_get_nothing_more() -> None:
    port = free_port()
    with page(port) as shown:
        shown.update({"connections": 1})
        assert get(port, method="POST")[0] in (200, 405)
        assert get(port, "/../../etc/passwd")[2] in ("", get(port)[2])


def test_a_silent_client_is_disconnected_and_holds_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    assert prometheus_page._Handler.timeout == prometheus_page.REQUEST_SECONDS
    monkeypatch.setattr(prometheus_page._Handler, "timeout", 0.2)
    port = free_port()
    with page(port) as shown:
        shown.update({"connections": 1})
        threads = threading.active_count()
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        wait_for(lambda: get(port)[0] == 200, "the page, in spite of them")
        assert threading.active_count() == threads
        for connection in silent:
            connection.close()


def test_a_slow_client_does_not_keep_the_daemon_from_ending() -> None:
    port = free_port()
    with page(port) as shown:
        shown.update({})
        assert get(port)[0] == 200
        with socket.create_connection(("127.0.0.1", port)) as dawdler:
            dawdler.sendall(b"GET /met")
            begin = time.monotonic()
            shown.close()
            assert time.monotonic() - begin < prometheus_page.REQUEST_SECONDS - 1


def test_garbage_does_not_end_it() -> None:
    port = free_port()
    with page(port) as shown:
        shown.update({"connections": 1})
        for rubbish in (b"\0" * 5000, b"GET", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000 + b"\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(rubbish)
        assert get(port)[0] == 200
