import pytest

from edge.web.request_rules import is_our_host, is_same_origin, refusal

NAMES = {"jetson", "jetson.local"}
HOST = {"Host": "10.0.0.5:8480"}
OURS = {**HOST, "Origin": "http://10.0.0.5:8480"}


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        *((text, True) for text in ("127.0.0.1", "127.0.0.1:8480", "[::1]:8480", "localhost", "LOCALHOST:1", "Jetson")),
        *((text, True) for text in ("jetson.local:8480", "10.0.0.5", "jetson.")),
        *(
            (text, False)
            for text in ("", ":8480", "evil.example", "evil.example:8480", "jetson.evil.example", "a@jetson")
        ),
        *((text, False) for text in ("jetson/x", "jetson?x", "[::1", "jetson:x", "127.0.0.1.evil.example", "jetson#a")),
    ],
)
def test_a_host_is_an_address_or_a_name_of_this_machine(host: str, ours: bool) -> None:
    assert is_our_host(host, NAMES) is ours


@pytest.mark.parametrize(
    ("origin", "same"),
    [
        ("http://10.0.0.5:8480", True),
        ("https://10.0.0.5:8480", True),
        ("http://10.0.0.5", False),
        ("http://10.0.0.5:8481", False),
        ("null", False),
        ("", False),
        ("file://10.0.0.5:8480", False),
        ("http://evil.example", False),
        ("http://[", False),
    ],
)
def test_an_origin_is_the_page_itself(origin: str, same: bool) -> None:
    assert is_same_origin(origin, "10.0.0.5:8480") is same


CROSS = {**HOST, "Sec-Fetch-Site": "cross-site"}
LINK = {**CROSS, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    ("method", "upgrade", "headers", "allowed"),
    [
        ("GET", False, HOST, True),
        ("GET", False, OURS, True),
        ("POST", False, OURS, True),
        ("GET", True, OURS, True),
        ("POST", False, HOST, False),  # no Origin
        ("DELETE", False, HOST, False),
        ("GET", True, HOST, False),  # a WebSocket of who knows whom
        ("GET", True, {**HOST, "Origin": "http://evil.example"}, False),
        ("POST", False, {**HOST, "Origin": "http://evil.example"}, False),
        ("POST", False, {**HOST, "Origin": "null"}, False),
        ("GET", False, {"Host": "evil.example"}, False),
        ("GET", False, {}, False),
        ("GET", False, CROSS, False),  # an image in another page
        ("GET", False, LINK, True),  # a link in another page
        ("GET", False, {**LINK, "Sec-Fetch-Dest": "iframe"}, False),
        ("POST", False, {**LINK, "Origin": "http://10.0.0.5:8480"}, False),
        ("GET", False, {**HOST, "Sec-Fetch-Site": "none"}, True),
    ],
)
def test_what_a_browser_may_send(method: str, upgrade: bool, headers: dict[str, str], allowed: bool) -> None:
    assert (refusal(method, upgrade, headers, NAMES) == "") is allowed
