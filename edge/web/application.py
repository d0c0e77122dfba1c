"""The page's web application: what is at which address. Shell."""

import asyncio
from pathlib import Path

from aiohttp import web

from edge.web.daemon_questions import DaemonQuestions
from edge.web.doctor_words import DoctorWords
from edge.web.event_requests import EventRequests
from edge.web.gate import AccessGate
from edge.web.health_words import sentences, worst_first
from edge.web.page_settings import PageSettings
from edge.web.tune_requests import TuneRequests
from edge.web.viewers import LONGEST_WORDS, Viewers

ASSETS = Path(__file__).resolve().parent / "assets"
ASSET_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
LONGEST_BODY = 65_536  # bytes of a request
HEARTBEAT_SECONDS = 20.0


def application(settings: PageSettings, viewers: Viewers, questions: DaemonQuestions) -> web.Application:
    """The application for these settings; `viewers` get what the daemon sends, `questions` go to it."""
    gate = AccessGate(settings)
    made = web.Application(middlewares=[gate.middleware()], client_max_size=LONGEST_BODY)
    made.on_response_prepare.append(gate.set_headers)
    pages = _Pages(settings, gate, viewers)
    made.add_routes(
        [
            web.get("/", pages.main),
            web.get("/login", pages.login),
            web.post("/login", pages.log_in),
            web.post("/logout", pages.log_out),
            web.get("/api/session", pages.session),
            web.get("/api/health", pages.health),
            web.get("/live", pages.live),
            web.get("/assets/{name:[a-z-]+[.](?:js|css|svg)}", pages.asset),
            *EventRequests(Path(settings.store)).routes(),
            *TuneRequests(questions).routes(),
        ]
    )
    return made


class _Pages:
    """Handlers of everything but events."""

    def __init__(self, settings: PageSettings, gate: AccessGate, viewers: Viewers) -> None:
        self._settings, self._gate, self._viewers = settings, gate, viewers
        self._doctor = DoctorWords(settings.config)

    async def main(self, request: web.Request) -> web.StreamResponse:
        return _page("index.html")

    async def login(self, request: web.Request) -> web.StreamResponse:
        if not self._gate.needs_password or self._gate.session(request) is not None:
            return web.Response(status=303, headers={"Location": "/"})
        return _page("login.html")

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        if not self._gate.needs_password:
            return web.Response(status=303, headers={"Location": "/"})
        form = await request.post()
        refused = await self._gate.log_in(request, str(form.get("password", "")))
        if refused:
            return _page("login.html", refused, 401)
        return web.Response(status=303, headers={"Location": "/"})

    async def log_out(self, request: web.Request) -> web.StreamResponse:
        self._gate.log_out(request)
        return web.json_response({})

    async def session(self, request: web.Request) -> web.StreamResponse:
        """What the page's program has to know first."""
        session = self._gate.session(request)
        token = "" if session is None else session.csrf
        about = {"device": self._settings.device, "version": self._settings.version}
        return web.json_response({**about, "csrf": token, "login": self._gate.needs_password})

    async def health(self, request: web.Request) -> web.StreamResponse:
        """The daemon's newest state, and what `doctor` finds, in words; none where neither has said any."""
        state = (self._viewers.state or {}).get("state")
        found = worst_first([*(sentences(state) if isinstance(state, dict) else ()), *self._doctor.sentences()])
        return web.json_response({"sentences": [one._asdict() for one in found], "state": state})

    async def live(self, request: web.Request) -> web.StreamResponse:
        """The WebSocket that brings pictures and state."""
        if self._viewers.full:
            return web.Response(status=503, text="too many browsers look already: close some\n")
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=LONGEST_WORDS, compress=False)
        await socket.prepare(request)
        if isinstance(request.transport, asyncio.Transport):
            await self._viewers.serve(socket, request.transport, lambda: self._gate.session(request) is not None)
        return socket

    async def asset(self, request: web.Request) -> web.StreamResponse:
        path = ASSETS / request.match_info["name"]
        if not path.is_file():
            raise web.HTTPNotFound
        return web.Response(body=path.read_bytes(), content_type=ASSET_KINDS[path.suffix], charset="utf-8")


def _page(name: str, words: str = "", status: int = 200) -> web.Response:
    """A page of the assets; `words`: our own sentence for its place, which holds nothing of a request."""
    text = (ASSETS / name).read_text("utf-8").replace("<!--words-->", words)
    return web.Response(text=text, content_type="text/html", status=status)
