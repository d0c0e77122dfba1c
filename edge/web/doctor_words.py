"""What `doctor` finds of this device, for the view of health: asked in a process of its own, not too often. Shell."""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from edge.web.health_words import HealthLevel, HealthSentence

EVERY_SECONDS = 120.0  # is it asked at most, while somebody looks at the view
LONGEST_SECONDS = 60.0  # that it may take
LEVELS: Mapping[str, HealthLevel] = {"ok": "good", "warning": "note", "wrong": "bad"}


class DoctorWords:
    """Its newest findings. `config`: path of the configuration, "" for none, of which there are no findings."""

    def __init__(self, config: str) -> None:
        self._config = config
        self._asked_at = -EVERY_SECONDS  # monotonic, s
        self._asking: asyncio.Task[None] | None = None
        self._found: list[HealthSentence] = []

    def sentences(self) -> list[HealthSentence]:
        """Those that are known; where they are old, it is asked anew, and nobody waits for that."""
        now = time.monotonic()
        if self._config and (self._asking is None or self._asking.done()) and now - self._asked_at >= EVERY_SECONDS:
            self._asked_at = now
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        return self._found

    async def _ask(self) -> None:
        words = (sys.executable, "-m", "edge.doctor.running", self._config)
        try:
            process = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        except OSError:
            return
        try:
            printed, _ = await asyncio.wait_for(process.communicate(), LONGEST_SECONDS)
            self._found = [_sentence(one) for one in json.loads(printed)]
        except asyncio.TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        except (ValueError, KeyError, TypeError):  # it has ended without a word
            return


def _sentence(finding: Mapping[str, Any]) -> HealthSentence:
    remedy = f"; {finding['remedy']}" if finding["remedy"] else ""
    subject, text = str(finding["subject"]), f"{finding['text']}{remedy}"
    return HealthSentence(LEVELS[finding["level"]], subject[:1].upper() + subject[1:], f"{text.rstrip('.')}.")
