"""A server that answers before it commits: it holds letters back and writes them a few at a time. The harness has to
catch it losing some."""

import threading
from uuid import UUID

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from telepsych.app import create_app as create_honest_app
from telepsych.messaging import service
from telepsych.web.doors import begin

AT_ONCE = 5


def create_app() -> Flask:
    """The real app, but for its view that takes letters."""
    app = create_honest_app()
    held: list[tuple[UUID, UUID, str]] = []
    lock = threading.Lock()

    def put_message(conversation_id: str, client_id: str) -> ResponseReturnValue:
        with lock:
            held.append((UUID(conversation_id), UUID(client_id), request.get_json()["body"]))
            if len(held) >= AT_ONCE:
                for where, name, body in held:
                    with begin() as work:
                        service.send(work, where, name, body)
                held.clear()
        return jsonify(seq=0), 201

    app.view_functions["messaging.put_message"] = put_message
    return app
