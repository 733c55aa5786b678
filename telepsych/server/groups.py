"""The two server groups: how gunicorn runs pages on threads, and sockets on greenlets.

No monkey patching where pages are made: rendering, hashing passwords and writing would stop every socket. The live
group opens no control socket, which all gunicorns of a user would share.
"""

import sys
from collections.abc import Sequence

from telepsych.core.errors import Misconfigured
from telepsych.core.settings import Settings
from telepsych.server.health import has_bus

THREADS = 16
CONNECTIONS = 4_000
COMMON = (
    *("--logger-class", "telepsych.server.logs.PlainLogger", "--log-level", "warning", "--error-logfile", "-"),
    *("--no-control-socket", "--limit-request-line", "4094", "--limit-request-fields", "60"),
    *("--limit-request-field_size", "8190"),
)
HTTP_APP = "telepsych.app:create_app()"
LIVE_APP = "telepsych.app:create_live()"


def http_command(settings: Settings, door: int, app: str = HTTP_APP) -> list[str]:
    """How to run the http group on a bound socket's descriptor."""
    return _gunicorn(
        door,
        *("--worker-class", "gthread", "--workers", str(settings.http_workers), "--threads", str(THREADS)),
        *("--timeout", "60", "--graceful-timeout", "10", "--keep-alive", "5", app),
    )


def live_command(settings: Settings, door: int, app: str = LIVE_APP) -> list[str]:
    """How to run the live group. Sockets never end by themselves, so it does not wait long for them."""
    return _gunicorn(
        door,
        *("--worker-class", "gevent", "--workers", str(settings.live_workers)),
        *("--worker-connections", str(CONNECTIONS), "--timeout", "60", "--graceful-timeout", "1", app),
    )


def worker_command() -> list[str]:
    """How to run the worker."""
    return [sys.executable, "-m", "telepsych.cli", "worker"]


def require_bus(settings: Settings) -> None:
    """Refuse to start several live processes that could not hear each other. Raises `Misconfigured`."""
    if settings.live_workers > 1 and not has_bus(settings):
        raise Misconfigured(
            "Several live processes need a database they can all hear: set live_workers to 1, or records_url to a file"
            " or a PostgreSQL database."
        )


def _gunicorn(door: int, *options: str) -> list[str]:
    start: Sequence[str] = (sys.executable, "-m", "gunicorn", "--bind", f"fd://{door}")
    return [*start, *COMMON, *options]
