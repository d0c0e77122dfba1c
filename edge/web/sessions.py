"""Who is logged in, and who has guessed too often. Shell: draws random numbers; time is given.

Kept in memory alone: after a restart of the page one logs in again.
"""

import secrets
from dataclasses import dataclass

LIFETIME = 7 * 86_400.0  # seconds
MOST_SESSIONS, MOST_ADDRESSES = 1000, 1000
FREE_FAILURES = 4  # guesses in a row before one has to wait
LONGEST_WAIT = 60.0  # seconds


@dataclass(frozen=True)
class Session:
    """`csrf`: must come with whatever changes something; `proof`: the hash of the password that opened it."""

    csrf: str
    expires: float
    proof: str


class Sessions:
    """All sessions, by the token in the browser's cookie; too many push out the oldest."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def begin(self, now: float, proof: str) -> str:
        """A new session's token."""
        token = secrets.token_urlsafe(32)
        self._sessions[token] = Session(secrets.token_urlsafe(32), now + LIFETIME, proof)
        while len(self._sessions) > MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return token

    def find(self, token: str, now: float, proof: str) -> Session | None:
        """The session of a token; None where it has ended, or the password is another one since."""
        session = self._sessions.get(token)
        if session is None or now >= session.expires or session.proof != proof:
            self._sessions.pop(token, None)
            return None
        return session

    def end(self, token: str) -> None:
        """Log out."""
        self._sessions.pop(token, None)


class Attempts:
    """Wrong passwords by address: after some in a row one waits, twice as long each time."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[int, float]] = {}  # how many, and when one may try again

    def wait(self, address: str, now: float) -> float:
        """Seconds until that address may try again; 0 for at once."""
        return max(0.0, self._failures.get(address, (0, 0.0))[1] - now)

    def failed(self, address: str, now: float) -> None:
        """Count a wrong password."""
        count = self._failures.pop(address, (0, 0.0))[0] + 1
        pause = min(LONGEST_WAIT, 2.0 ** (count - FREE_FAILURES)) if count >= FREE_FAILURES else 0.0
        self._failures[address] = (count, now + pause)
        while len(self._failures) > MOST_ADDRESSES:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, address: str) -> None:
        """Forget what went before."""
        self._failures.pop(address, None)
