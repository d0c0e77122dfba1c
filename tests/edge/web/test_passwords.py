from pathlib import Path

import pytest

from edge.web import passwords
from edge.web.passwords import LONGEST, PasswordError


def test_a_hash_tells_its_password_alone(tmp_path: Path) -> None:
    file = tmp_path / "hash"
    file.write_text(passwords.hashed("bärenstark 8") + "\n")
    stored = passwords.read(file)
    assert stored.startswith("$argon2id$")
    assert "stark" not in stored
    assert passwords.fits("bärenstark 8", stored)
    assert not passwords.fits("bärenstark 9", stored)
    assert not passwords.fits("", stored)


@pytest.mark.parametrize("password", ["", "1234567", "x" * (LONGEST + 1)])
def test_a_password_has_a_length(password: str) -> None:
    with pytest.raises(PasswordError, match="8 to 1024 characters"):
        passwords.hashed(password)


def test_a_file_without_a_hash_is_named_with_the_remedy(tmp_path: Path) -> None:
    file = tmp_path / "hash"
    with pytest.raises(PasswordError, match=r"cannot be read .*web-password"):
        passwords.read(file)
    for content in (b"", b"secret\n", b"\xff\xfe"):
        file.write_bytes(content)
        with pytest.raises(PasswordError, match="holds no hash"):
            passwords.read(file)
    with pytest.raises(PasswordError, match="damaged"):
        passwords.fits("12345678", "$argon2id$nonsense")
