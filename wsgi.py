"""For a WSGI server of your own: `gunicorn wsgi:app` serves pages, `gunicorn -k gevent wsgi:live` serves sockets.

`telepsych serve` starts both, and the worker, by itself. Each app is made when it is first asked for, so that a process
opens only what it serves. Settings come from `TELEPSYCH_*` and `telepsych.toml`, as everywhere.
"""

from flask import Flask

from telepsych.app import create_app, create_live

APPS = {"app": create_app, "live": create_live}


def __getattr__(name: str) -> Flask:
    if name not in APPS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = APPS[name]()
    globals()[name] = made
    return made
