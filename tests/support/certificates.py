"""Authorities, certificates and keys for the tests, made with the `openssl` program."""

import shutil
import subprocess
from pathlib import Path

import pytest

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make(folder: Path) -> Path:
    """ca.crt, server.crt for 127.0.0.1, client.crt, expired.crt, and other.crt: an authority that signed none of them.

    Skips the test where openssl is absent.
    """
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: apt-get install openssl")
    for name in ("ca", "other"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.crt"]
        openssl(folder, "req", "-x509", *CURVE, *files, "-subj", f"/CN={name}", "-days", "2")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client", "expired"):
        openssl(folder, "req", *CURVE, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    for name in ("server", "client"):
        signer = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", *signer)
    _sign_expired(folder)
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


def _sign_expired(folder: Path) -> None:
    """`openssl x509` knows no dates in the past before OpenSSL 3.4; `openssl ca` does."""
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01\n")
    (folder / "ca.cnf").write_text(
        "[ca]\ndefault_ca = d\n[d]\nnew_certs_dir = .\ndatabase = index.txt\nserial = serial\ndefault_md = sha256\n"
        "policy = p\nx509_extensions = e\n[p]\ncommonName = supplied\n[e]\nsubjectAltName = IP:127.0.0.1\n"
    )
    dates = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"]
    files = ["-in", "expired.csr", "-out", "expired.crt", "-cert", "ca.crt", "-keyfile", "ca.key"]
    openssl(folder, "ca", "-batch", "-notext", "-config", "ca.cnf", *dates, *files)
