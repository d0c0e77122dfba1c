"""What the page's process asks the daemon, and the answers, which come by the same channel. Shell: waits."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from edge.web.messages import MessageError, PageMessage

MOST_WAITING = 32  # questions at once, of all browsers
ANSWER_SECONDS = 15.0  # that the daemon has: it answers between two frames

TellDaemon = Callable[[dict[str, object]], None]


class QuestionError(Exception):
    """A question that gets no answer; the message says why."""


class DaemonQuestions:
    """Those that wait. `tell`: sends the daemon a message."""

    def __init__(self, tell: TellDaemon) -> None:
        self._tell = tell
        self._waiting: dict[int, asyncio.Future[PageMessage]] = {}
        self._number = 0

    async def ask(self, op: str, data: Mapping[str, Any]) -> PageMessage:
        """Ask, and wait for the answer. Raises QuestionError."""
        if len(self._waiting) >= MOST_WAITING:
            raise QuestionError("too many ask at once: try again")
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._tell({"kind": "ask", "number": number, "op": op, "data": data})
            return await asyncio.wait_for(answer, ANSWER_SECONDS)
        except MessageError as error:
            raise QuestionError(str(error)) from error
        except asyncio.TimeoutError:
            raise QuestionError("the daemon does not answer: its log says why") from None
        finally:
            del self._waiting[number]

    def take(self, message: PageMessage) -> None:
        """Give an answer to whoever waits for it."""
        waiting = self._waiting.get(message.header.get("number", 0))
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
