"""The page's requests of tuning: the settings in force, the scores of the last minutes, changes. Shell."""

import asyncio
import json
from typing import Any

from aiohttp import web

from edge.web.daemon_questions import DaemonQuestions, QuestionError
from edge.web.messages import PageMessage, pack

LARGEST_NUMBER = 1 << 53


class TuneRequests:
    """Handlers; all is asked of the daemon."""

    def __init__(self, questions: DaemonQuestions) -> None:
        self._questions = questions

    def routes(self) -> list[web.RouteDef]:
        """What is asked where."""
        return [
            web.get("/api/tune", self._settings),
            web.post("/api/tune", self._change),
            web.get("/api/scores", self._scores),
        ]

    async def _settings(self, request: web.Request) -> web.Response:
        return web.json_response((await self._asked("settings", {})).header["data"])

    async def _scores(self, request: web.Request) -> web.Response:
        """A packed message: its body has a row of one byte an action for each half second."""
        try:
            after = int(request.query.get("after", 0))
        except ValueError:
            after = -1
        if not 0 <= after < LARGEST_NUMBER:
            raise _refused(400, "after: give the number of a slot")
        answer = await self._asked("scores", {"camera": request.query.get("camera", "")[:64], "after": after})
        return web.Response(body=pack(answer.header, answer.body), content_type="application/octet-stream")

    async def _change(self, request: web.Request) -> web.Response:
        """Changes as `config-set` takes them, and whether they are to be saved; the answer has the problems."""
        try:
            wanted = json.loads(await request.text(), parse_constant=_no_constant)
        except web.HTTPRequestEntityTooLarge as error:
            raise _refused(413, "so many changes at once are refused: save some, then the others") from error
        except (ValueError, RecursionError, LookupError):  # LookupError: an unknown charset
            wanted = None
        if not isinstance(wanted, dict) or not isinstance(wanted.get("changes"), dict):
            raise _refused(400, "give changes as JSON: a table of the keys to change, as config-set takes them")
        data = {"changes": wanted["changes"], "save": wanted.get("save") is True}
        return web.json_response((await self._asked("change", data)).header["data"])

    async def _asked(self, op: str, data: dict[str, Any]) -> PageMessage:
        try:
            return await asyncio.shield(self._questions.ask(op, data))  # a browser that leaves cuts no change short
        except QuestionError as error:
            raise _refused(503, str(error)) from error


def _refused(status: int, problem: str) -> web.HTTPException:
    text, kind = json.dumps({"problems": [problem]}), "application/json"
    if status == 413:
        return web.HTTPRequestEntityTooLarge(0, text=text, content_type=kind)
    made = {400: web.HTTPBadRequest, 503: web.HTTPServiceUnavailable}[status]
    return made(text=text, content_type=kind)


def _no_constant(name: str) -> object:
    raise ValueError(name)
