"""`korsal-edge events ID --wrong`, `--right`, `--relabel`: keeps what somebody says of an event. Shell."""

import sys
from pathlib import Path

from edge.commands.events import EventsError
from edge.history.judgements import JudgementError, Verdict, judge


def keep_judgement(store: Path, event_id: str, verdict: Verdict, action: str = "") -> int:
    """Keep it in the store, and its clip to teach with, whose path is printed; the exit status.

    Raises StoreError, EventsError.
    """
    try:
        kept = judge(store, event_id, verdict, action)
    except JudgementError as error:
        raise EventsError(str(error)) from error
    if kept.clip is None:
        print(f"{kept.without}. The judgement is kept, without a clip to teach with", file=sys.stderr)
        return 1
    print(kept.clip)
    return 0
