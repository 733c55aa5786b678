"""Flood limits over HTTP: one client that asks too fast is slowed down alone.

Every address has a limit, and so has every session, counted in each process by itself and before a database is asked.
Guessing at sign-in is counted in the database instead (`accounts.guesses`): there every process has to know.
"""

import hashlib
import threading
from collections import OrderedDict

from flask import Flask, request

from telepsych.core.errors import TooMany
from telepsych.core.words import gettext
from telepsych.web.addresses import address
from telepsych.web.doors import cookie_name, practice
from telepsych.web.live_transport import Bucket

MOST_KNOWN = 20_000
"""Clients remembered in one process; the one that was quiet longest is forgotten first."""
BURST = 5
"""How many seconds' worth may come at once."""
HEALTH = frozenset({"/healthz", "/readyz"})


class Crowd:
    """A rate for each client, with `BURST` seconds of it at once. Bounded in number."""

    def __init__(self, per_second: float, most: int = MOST_KNOWN) -> None:
        self._per_second, self._burst, self._most = per_second, per_second * BURST, most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, client: str) -> bool:
        """Take one for a client, if it has one left."""
        with self._lock:
            bucket = self._buckets.pop(client, None) or Bucket(self._burst, self._per_second)
            self._buckets[client] = bucket
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
            return bucket.take()

    def __len__(self) -> int:
        return len(self._buckets)


def protect(app: Flask) -> None:
    """Refuse what comes too fast, before anything else looks at it."""
    with app.app_context():
        settings = practice.settings
    by_address, by_session = Crowd(settings.requests_by_address), Crowd(settings.requests_by_session)

    @app.before_request
    def keep_to_rate() -> None:
        if request.path in HEALTH:
            return
        token = request.cookies.get(cookie_name(), "")
        session_goes = not token or by_session.take(hashlib.sha256(token.encode()).hexdigest())
        if not by_address.take(address()) or not session_goes:
            raise TooMany(gettext("That was very fast. Please wait a few seconds and try again."), retry_after=BURST)
