import pytest

from edge.config.edit import redacted
from edge.config.validation import validate

CAMERAS = {"door": {"source": "/dev/video0"}}


def problems(**web: object) -> tuple[str, ...]:
    return validate({"cameras": CAMERAS, "web": web}).problems


def test_it_is_off_and_on_loopback_unless_asked_for() -> None:
    found = validate({"cameras": CAMERAS}).usable
    assert found is not None
    assert (found.web.enabled, found.web.address, found.web.password_file) == (False, "127.0.0.1", None)


def test_no_request_tells_its_files() -> None:
    found = validate({"cameras": CAMERAS, "web": {"password_file": "a", "cert": "b", "key": "c"}}).usable
    assert found is not None
    assert not {"password_file", "cert", "key"} & redacted(found)["web"].keys()


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.5", "fe80::1"])
def test_elsewhere_it_needs_a_password(address: str) -> None:
    (problem,) = problems(enabled=True, address=address)
    assert problem == (
        f"web.password_file: missing, although others reach {address}: make one with korsal-edge web-password FILE"
    )
    assert problems(enabled=True, address=address, password_file="hash") == ()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
def test_on_loopback_it_needs_none(address: str) -> None:
    assert problems(enabled=True, address=address) == ()


def test_a_certificate_has_its_key() -> None:
    assert problems(cert="web.crt") == ("web.key: missing, although cert is given; give both or neither",)
    assert problems(key="web.key") == ("web.cert: missing, although key is given; give both or neither",)
    assert problems(cert="web.crt", key="web.key") == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [("port", 0), ("port", 65_536), ("fps", 0), ("width", 1), ("address", "jetson"), ("hosts", ["a/b"])],
)
def test_values_out_of_range_are_named(key: str, value: object) -> None:
    (problem,) = problems(**{key: value})
    assert problem.startswith(f"web.{key}")
