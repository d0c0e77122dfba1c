"""The live page's real process, fed by a test, and what a browser would get from it."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from types import TracebackType
from typing import Any

from edge.web.page_process import PageProcess
from edge.web.page_settings import PageSettings
from tests.support.ports import free_port
from tests.support.waiting import wait_for

NOW = 1_790_000_000.0  # when the first event of `kept_events` was stored, unix time, s
PASSWORD = "opensesame"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)


@dataclass
class ServedPage:
    """`heard`: what the process has said, kind and header."""

    store: Path
    password_file: str = ""
    hosts: tuple[str, ...] = ()
    cert: str = ""
    key: str = ""
    port: int = field(default_factory=free_port)
    cookie: str = ""
    heard: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> "ServedPage":
        settings = PageSettings(
            "roof", "1", "127.0.0.1", self.port, self.hosts, self.password_file, self.cert, self.key, str(self.store)
        )
        self.process = PageProcess(settings)
        wait_for(lambda: self.listen() and self.said("listening"), "the page")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.close()

    def listen(self) -> bool:
        """Take what the process says."""
        self.heard += [message.header for message in self.process.receive()]
        return True

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.heard if one["kind"] == kind]

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ask(self, path: str, method: str = "GET", body: str = "", **headers: str) -> Answer:
        """The path goes out as it is; underscores in names of headers mean hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.putrequest(method, path, skip_host=True)
        for name, value in {"Host": self.host, "Cookie": self.cookie, **given}.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body.encode())))
        connection.endheaders(body.encode())
        response = connection.getresponse()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
        connection.close()
        return answer

    def open(self) -> Answer:
        """Open the page as a browser does, and keep its cookie."""
        return self._kept(self.ask("/"))

    def log_in(self, password: str) -> Answer:
        form = {"Origin": f"http://{self.host}", "Content_Type": "application/x-www-form-urlencoded"}
        return self._kept(self.ask("/login", "POST", f"password={password}", **form))

    def _kept(self, answer: Answer) -> Answer:
        for morsel in SimpleCookie(answer.headers.get("Set-Cookie", "")).values():
            self.cookie = f"{morsel.key}={morsel.value}"
        return answer
