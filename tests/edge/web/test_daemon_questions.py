"""What the page's process asks the daemon."""

import asyncio

import pytest

from edge.web import daemon_questions
from edge.web.daemon_questions import MOST_WAITING, DaemonQuestions, QuestionError
from edge.web.messages import PageMessage, pack


def test_each_gets_its_own_answer() -> None:
    asked: list[dict[str, object]] = []

    async def talk() -> list[bytes]:
        questions = DaemonQuestions(asked.append)
        waiting = [asyncio.create_task(questions.ask("scores", {"camera": name})) for name in ("a", "b")]
        await asyncio.sleep(0)
        for one in reversed(asked):
            questions.take(PageMessage({"number": one["number"]}, str(one["data"]).encode()))
            questions.take(PageMessage({"number": one["number"]}, b"again"))
        questions.take(PageMessage({"number": 99}, b"nobody asked"))
        return [(await one).body for one in waiting]

    assert asyncio.run(talk()) == [b"{'camera': 'a'}", b"{'camera': 'b'}"]


def test_a_daemon_that_does_not_answer_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_questions, "ANSWER_SECONDS", 0.0)

    async def talk() -> None:
        questions = DaemonQuestions(lambda _: None)
        for _ in range(MOST_WAITING + 1):
            with pytest.raises(QuestionError, match="does not answer: its log says why"):
                await questions.ask("settings", {})

    asyncio.run(talk())


def test_too_many_at_once_are_refused() -> None:
    async def talk() -> None:
        questions = DaemonQuestions(lambda _: None)
        waiting = [asyncio.create_task(questions.ask("settings", {})) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(QuestionError, match="too many ask at once"):
            await questions.ask("settings", {})
        for one in waiting:
            one.cancel()

    asyncio.run(talk())


def test_what_no_message_can_hold_is_refused() -> None:
    def tell(message: dict[str, object]) -> None:
        pack(message)

    async def talk() -> None:
        questions = DaemonQuestions(tell)
        with pytest.raises(QuestionError, match="cannot be written"):
            await questions.ask("change", {"half a pair": "\ud800"})

    asyncio.run(talk())
