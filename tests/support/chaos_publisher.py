"""The process that `test_chaos` kills: an outbox and a publisher, fed with numbered events as a daemon feeds them.

Arguments, as JSON: port, file, run, seed, open (event_id and the number of its next step, of events that the last run
left open), feed (false: only send what waits, then end), sabotage (true: forget rows when they are sent).
"""

import json
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

from edge.broker import outages
from edge.broker.outbox import Message, Outbox, OutboxLimits, StoredMessage
from edge.broker.publisher import Publisher
from edge.broker.topics import Topics
from edge.config.schema import MqttConfig

SLOTS = 6  # events that go on at the same time
MOST_WAITING = 1500  # rows in the outbox, beyond which nothing is fed
TOPICS = Topics("korsal", "chaos")


class Forgetful(Outbox):
    """What must not be: rows leave when they are sent, not when they have arrived."""

    def pending(self, after: int, limit: int, without: Any = ()) -> tuple[StoredMessage, ...]:
        rows = super().pending(after, limit, without)
        self.remove([row.id for row in rows])
        return rows


def feed(publisher: Publisher, run: int, dice: random.Random, slots: list[tuple[str, int]]) -> None:
    """For ever: bursts of steps of several events, interleaved; an event ends now and then, and another begins."""
    begun = steps = 0
    pause = threading.Event()
    while True:
        for _ in range(dice.randint(1, 40)):
            while len(slots) < SLOTS:
                slots.append((f"{run}-{begun}", 0))
                begun += 1
            event_id, seq = slots.pop(dice.randrange(len(slots)))
            kind = "new" if seq == 0 else "end" if dice.random() < 0.05 else "update"
            if kind != "end":
                slots.append((event_id, seq + 1))
            steps += 1
            payload = json.dumps({"event_id": event_id, "seq": seq, "mark": f"{run}.{steps}"}).encode()
            topic = TOPICS.event(f"camera{hash(event_id) % 3}", "Dunk")
            publisher.publish_event(Message(topic, payload, event_id, seq, kind, time.time() + 86_400))
        pause.wait(dice.random() * 0.03)
        while publisher.statistics().outbox.rows > MOST_WAITING:
            pause.wait(0.01)


def main(given: dict[str, Any]) -> None:
    outages.FIRST, outages.LONGEST = 0.02, 0.1
    make = Forgetful if given["sabotage"] else Outbox
    outbox = make(Path(given["file"]), OutboxLimits())
    publisher = Publisher(MqttConfig(host="127.0.0.1", port=given["port"]), TOPICS, outbox)
    print("ready", flush=True)  # noqa: T201
    if given["feed"]:
        feed(publisher, given["run"], random.Random(given["seed"]), [tuple(slot) for slot in given["open"]])
    while publisher.statistics().outbox.rows:
        threading.Event().wait(0.01)
    publisher.close(60)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
