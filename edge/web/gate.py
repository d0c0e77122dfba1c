"""Every request passes here: Host and Origin, login, the token that comes with changes, headers. Shell."""

import asyncio
import math
import socket
import time
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from edge.web import passwords
from edge.web.page_settings import PageSettings
from edge.web.passwords import PasswordError
from edge.web.request_rules import HEADERS, SAFE_METHODS, refusal
from edge.web.sessions import LIFETIME, Attempts, Session, Sessions

COOKIE = "korsal-session"
OPEN_PATHS = ("/login", "/assets/style.css", "/assets/icon.svg")  # without a login
TOKEN_HEADER = "X-CSRF-Token"


class AccessGate:
    """Decides who may see what."""

    def __init__(self, settings: PageSettings) -> None:
        own = socket.gethostname().lower()
        self._names = frozenset({own, f"{own}.local", *(name.lower() for name in settings.hosts)})
        self._password_file = Path(settings.password_file) if settings.password_file else None
        self._secure = bool(settings.cert)
        self._sessions, self._attempts = Sessions(), Attempts()
        self._one_at_a_time = asyncio.Lock()  # a comparison takes 64 MiB

    @property
    def needs_password(self) -> bool:
        """Whether one logs in."""
        return self._password_file is not None

    def session(self, request: web.Request) -> Session | None:
        """Of whoever sends the request; None where nobody is logged in."""
        try:
            return self._sessions.find(request.cookies.get(COOKIE, ""), time.monotonic(), self._proof())
        except PasswordError:
            return None

    async def log_in(self, request: web.Request, password: str) -> str:
        """Begin a session whose cookie the next response sets; a sentence where that is refused, else ""."""
        async with self._one_at_a_time:  # so that guesses sent at once wait as those sent one by one
            return await self._log_in(request, request.remote or "", password)

    async def _log_in(self, request: web.Request, address: str, password: str) -> str:
        if (seconds := self._attempts.wait(address, time.monotonic())) > 0:
            return f"Too many wrong passwords: try again in {math.ceil(seconds)} seconds."
        try:
            proof = self._proof()
            right = await asyncio.to_thread(passwords.fits, password[: passwords.LONGEST + 1], proof)
        except PasswordError as error:
            return f"Nobody can log in: {error}."
        if not right:
            self._attempts.failed(address, time.monotonic())
            return "That is not the password."
        self._attempts.succeeded(address)
        request["token"] = self._sessions.begin(time.monotonic(), proof)
        return ""

    def log_out(self, request: web.Request) -> None:
        """End the session of whoever sends the request."""
        self._sessions.end(request.cookies.get(COOKIE, ""))

    def middleware(self) -> Middleware:
        """For the application: every request goes through it."""

        @web.middleware
        async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = self._refused(request)
            if response is None:
                response = await handler(request)
            if token := request.get("token"):
                self._set_cookie(response, token)
            return response

        return checked

    async def set_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Set the headers of every response."""
        response.headers.update(HEADERS)
        response.headers.pop("Server", None)  # names versions

    def _set_cookie(self, response: web.StreamResponse, token: str) -> None:
        response.set_cookie(
            COOKIE, token, max_age=int(LIFETIME), httponly=True, samesite="Strict", secure=self._secure, path="/"
        )

    def _refused(self, request: web.Request) -> web.StreamResponse | None:
        """The response to what may not pass; None for what may."""
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        if reason := refusal(request.method, upgrade, request.headers, self._names):
            return web.Response(status=403, text=f"{reason}\n")
        if request.path in OPEN_PATHS:
            return None
        session = self.session(request)
        if session is None and not self.needs_password and request.path == "/":
            request["token"] = self._sessions.begin(time.monotonic(), "")
            return None
        if session is None:
            if request.path == "/":
                return web.Response(status=303, headers={"Location": "/login"})
            return web.json_response({"problem": "not logged in: open the page again"}, status=401)
        if request.method not in SAFE_METHODS and request.headers.get(TOKEN_HEADER) != session.csrf:
            return web.json_response({"problem": "the page is out of date: load it again"}, status=403)
        return None

    def _proof(self) -> str:
        """What a session depends on: the password's hash. Raises PasswordError."""
        return "" if self._password_file is None else passwords.read(self._password_file)
