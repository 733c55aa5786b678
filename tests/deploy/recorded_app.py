"""The pages, with a note of every request that reached them: run by gunicorn behind nginx in the tests."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from telepsych.app import create_app
from telepsych.core.settings import Settings
from telepsych.web.addresses import address_behind

CLAIMS = ("HTTP_HOST", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_FORWARDED")


class Recorded:
    """Notes what a request claims and whom we take it for, then lets the pages answer."""

    def __init__(self) -> None:
        self._settings = Settings.load()
        self._app = create_app(self._settings)
        self._notes = Path(os.environ["RECORDED"])

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
        note = {
            "line": f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}",
            "from": address_behind(environ.get("REMOTE_ADDR", ""), forwarded, self._settings.trusted_proxies),
            "scheme": environ["wsgi.url_scheme"],
            **{name: environ.get(name, "") for name in CLAIMS},
        }
        with self._notes.open("a", encoding="utf-8") as notes:
            notes.write(json.dumps(note) + "\n")
        return self._app(environ, start_response)


def app() -> Recorded:
    """What gunicorn asks for."""
    return Recorded()
