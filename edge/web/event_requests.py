"""The page's questions about events: a list, one with its tube, picture and clip, exports. Shell."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from edge.history import judgements, search
from edge.history.event_listing import as_json, csv_text, points_json
from edge.history.judgements import JudgementError
from edge.history.search import EventFilter, FoundEvent
from edge.history.store_tables import StoreError

PAGE = 60  # events at once
EXPORTED_AT_ONCE = 500
ON_TIMELINE = 1000  # events at most
ID = r"{event_id:[0-9A-Za-z-]{4,64}}"
AnswerT = TypeVar("AnswerT")


class EventRequests:
    """Handlers; `store`: the file, which is read in threads."""

    def __init__(self, store: Path) -> None:
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        """What is asked where."""
        return [
            web.get("/api/events", self._list),
            web.get("/api/event-names", self._names),
            web.get("/api/timeline", self._timeline),
            web.get(f"/api/events/{ID}", self._one),
            web.post(f"/api/events/{ID}/judgement", self._judge),
            web.get(f"/events/{ID}/picture", self._picture),
            web.get(f"/events/{ID}/clip", self._clip),
            web.get("/export/events.json", self._export_json),
            web.get("/export/events.csv", self._export_csv),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        found = await _ask(search.find, self._store, replace(_wanted(request), newest=PAGE + 1))
        shown = found[-PAGE:][::-1]
        more = shown[-1].number if len(found) > PAGE else None
        return web.json_response({"events": [page_json(one) for one in shown], "before": more})

    async def _names(self, request: web.Request) -> web.Response:
        cameras, actions = await _ask(search.names, self._store)
        return web.json_response({"cameras": cameras, "actions": actions})

    async def _one(self, request: web.Request) -> web.Response:
        event = await self._found(request)
        points = points_json(await _ask(search.tube, self._store, event))
        return web.json_response({**page_json(event), "points": points, "clip_start": event.clip_start})

    async def _timeline(self, request: web.Request) -> web.Response:
        """When what was in front of cameras: the newest that fit; events in video files have no time of day."""
        found = await _ask(search.find, self._store, replace(_wanted(request), newest=ON_TIMELINE, live=True))
        shown = [
            {
                "event_id": one.event_id,
                "camera": one.camera,
                "action": one.action,
                "score": one.score,
                "started": one.payload["started"],
                "duration": one.payload["duration"],
                "verdict": one.verdict or None,
            }
            for one in found
        ]
        return web.json_response({"events": shown, "all": len(found) < ON_TIMELINE})

    async def _judge(self, request: web.Request) -> web.Response:
        """Keep what somebody says of an event; the answer says whether its clip is among those to teach with."""
        try:
            said = json.loads(await request.text())
        except web.HTTPRequestEntityTooLarge:
            said = None
        except (ValueError, RecursionError, LookupError):  # LookupError: an unknown charset
            said = None
        if not isinstance(said, dict):
            text = json.dumps({"problem": "give a judgement as JSON: its verdict, and the action that it was"})
            raise web.HTTPBadRequest(text=text, content_type="application/json")
        verdict, action = str(said.get("verdict")), str(said.get("action") or "")
        kept = await _ask(judgements.judge, self._store, request.match_info["event_id"], verdict, action)
        return web.json_response({"clip": kept.clip is not None, "without": kept.without})

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        event = await self._found(request)
        return _file(event.picture, event, "picture")

    async def _clip(self, request: web.Request) -> web.StreamResponse:
        event = await self._found(request)
        return _file(event.clip, event, "clip")

    async def _found(self, request: web.Request) -> FoundEvent:
        return await _ask(search.find_one, self._store, request.match_info["event_id"])

    async def _export_json(self, request: web.Request) -> web.StreamResponse:
        return await self._export(request, "application/jsonl", "events.jsonl", _json_lines)

    async def _export_csv(self, request: web.Request) -> web.StreamResponse:
        return await self._export(request, "text/csv", "events.csv", _csv_lines)

    async def _export(
        self, request: web.Request, kind: str, name: str, written: Callable[[list[dict[str, Any]], bool], str]
    ) -> web.StreamResponse:
        """Send all that fit, the newest first, part by part."""
        response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}"'})
        response.content_type, response.charset = kind, "utf-8"
        wanted = replace(_wanted(request), newest=EXPORTED_AT_ONCE)
        found = await _ask(search.find, self._store, wanted)
        await response.prepare(request)
        first = True
        while found or first:
            text = await asyncio.to_thread(written, [page_json(one) for one in found[::-1]], first)
            await response.write(text.encode())
            first = False
            if found:
                found = await _ask(search.find, self._store, replace(wanted, before=found[0].number))
        await response.write_eof()
        return response


def page_json(event: FoundEvent) -> dict[str, Any]:
    """An event as the page has it: as the command line's, but picture and clip are addresses of this page."""
    at = f"/events/{event.event_id}"
    kept = {name: f"{at}/{name}" if getattr(event, name) is not None else None for name in ("picture", "clip")}
    return {**as_json(event), **kept, "score_best": event.score, "goes_on": not event.ended}


async def _ask(question: Callable[..., AnswerT], *arguments: object) -> AnswerT:
    """Ask the store in a thread; what it cannot answer becomes a response with its sentence."""
    try:
        return await asyncio.to_thread(partial(question, *arguments))
    except (StoreError, JudgementError) as error:
        text = json.dumps({"problem": str(error)})
        kind = web.HTTPNotFound if isinstance(error, StoreError) else web.HTTPBadRequest
        raise kind(text=text, content_type="application/json") from error


def _wanted(request: web.Request) -> EventFilter:
    """The filter that a request's query asks for. HTTPBadRequest where it is none."""
    asked = request.query
    try:
        since = float(asked["since"]) if asked.get("since") else None
        least = float(asked.get("min_score") or 0)
        before = int(asked["before"]) if asked.get("before") else None
        if before is not None and abs(before) >= 1 << 63:
            raise ValueError(before)
    except ValueError as error:
        raise web.HTTPBadRequest(text="since, min_score and before are numbers\n") from error
    return EventFilter(asked.get("action") or None, asked.get("camera") or None, since, least, before=before)


def _file(path: Path | None, event: FoundEvent, name: str) -> web.FileResponse:
    """A file of the store. HTTPNotFound where there is none."""
    if path is None:
        raise web.HTTPNotFound(text=f"event {event.event_id} has no {name}\n")
    return web.FileResponse(path)


def _json_lines(events: list[dict[str, Any]], first: bool) -> str:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in events)


def _csv_lines(events: list[dict[str, Any]], first: bool) -> str:
    return csv_text(events, header=first)
