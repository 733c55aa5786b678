"""A server that answers before it commits: it holds letters back and writes them a few at a time, and the rest when it
is stopped properly. Only a death loses some, and the harness has to catch that."""

import atexit
import os
import threading
from uuid import UUID

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from telepsych.app import create_app as create_honest_app
from telepsych.core.actor import Actor
from telepsych.core.work import Practice
from telepsych.messaging import service
from telepsych.web.doors import visitor, web

AT_ONCE = 10


class Held:
    """Letters that were acknowledged and stand nowhere yet."""

    def __init__(self, practice: Practice) -> None:
        self._practice = practice
        self._letters: list[tuple[Actor, UUID, UUID, str]] = []
        self._lock = threading.Lock()

    def add(self, letter: tuple[Actor, UUID, UUID, str]) -> None:
        with self._lock:
            self._letters.append(letter)
            if len(self._letters) >= AT_ONCE:
                self._write()

    def write_and_leave(self) -> None:
        """What is left when the process is stopped properly. The interpreter is not taken apart after that: it takes
        seconds."""
        with self._lock:
            self._write()
        os._exit(0)

    def _write(self) -> None:
        for actor, where, name, body in self._letters:
            with self._practice.begin(actor) as work:
                service.send(work, where, name, body)
        self._letters.clear()


def create_app() -> Flask:
    """The real app, but for its view that takes letters."""
    app = create_honest_app()
    with app.app_context():
        held = Held(web().practice)
    atexit.register(held.write_and_leave)

    def put_message(conversation_id: str, client_id: str) -> ResponseReturnValue:
        held.add((visitor().actor, UUID(conversation_id), UUID(client_id), request.get_json()["body"]))
        return jsonify(seq=0), 201

    app.view_functions["messaging.put_message"] = put_message
    return app
