"""Tickets: a page fetches a one-time pass over HTTP and shows it when its socket connects.

A ticket is good for 30 seconds, once, and only together with the cookie of the session it was issued to.
"""

import os
import secrets
from urllib.parse import urlsplit
from uuid import UUID

from flask import Blueprint, Response, current_app, jsonify, request
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.engine import CursorResult

from telepsych.core.actor import Decision
from telepsych.core.clock import SECOND
from telepsych.core.errors import SignInNeeded
from telepsych.core.settings import Settings
from telepsych.core.work import Work
from telepsych.web.doors import begin, practice, signed_in, visitor
from telepsych.web.models import LiveTicket
from telepsych.web.sessions import hash_of

LIFE = 30 * SECOND
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

live_bp = Blueprint("live_ticket", __name__)


@live_bp.get("/api/live-ticket")
@signed_in()
def live_ticket() -> Response:
    """A ticket for the visitor's own session, and where to show it."""
    row = visitor().row
    if row is None:
        raise SignInNeeded
    with begin() as work:
        ticket = issue_ticket(work, row.id)
    url = current_app.config.get("LIVE_URL") or live_url(practice.settings, request.host)
    return jsonify(ticket=ticket, url=url)


def issue_ticket(work: Work, session_id: UUID) -> str:
    """Issue a ticket for the actor's own session. Only its hash is kept. Raises `Refused` for another's session."""
    work.require(Decision(work.actor.session_id == session_id))
    ticket = secrets.token_urlsafe(32)
    work.add(LiveTicket(ticket_hash=hash_of(ticket), session_id=session_id, expires_at=work.now + LIFE))
    return ticket


def is_good(work: Work, ticket: str, session_id: UUID) -> bool:
    """Whether the ticket could be used now, without using it."""
    return work.session.scalar(select(LiveTicket.id).where(*_good(work, ticket, session_id))) is not None


def use_ticket(work: Work, ticket: str, session_id: UUID) -> bool:
    """Use the ticket up. True for exactly one caller, in time and with the session it was issued to."""
    used = work.session.execute(
        update(LiveTicket).where(*_good(work, ticket, session_id)).values(used_at=work.now),
        execution_options={"synchronize_session": False},
    )
    return isinstance(used, CursorResult) and used.rowcount == 1


def _good(work: Work, ticket: str, session_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (
        LiveTicket.ticket_hash == hash_of(ticket),
        LiveTicket.session_id == session_id,
        LiveTicket.used_at.is_(None),
        LiveTicket.expires_at > work.now,
    )


def live_url(settings: Settings, host: str) -> str:
    """Where the live group is reached: as set, at the one origin, or on loopback at the port beside the page's own."""
    if settings.live_origin or settings.origin:
        return settings.live_origin or settings.origin
    page = urlsplit(f"//{host}")
    name = page.hostname if page.hostname in LOOPBACK else "127.0.0.1"
    port = os.environ.get("TELEPSYCH_LIVE_PORT") or (page.port or 80) + 1
    return f"http://[{name}]:{port}" if name == "::1" else f"http://{name}:{port}"


def page_origins(settings: Settings) -> frozenset[str]:
    """The origins whose pages may open a socket: the one set, or loopback at the http group's port.

    `TELEPSYCH_HTTP_PORT` is set by whatever bound the ports.
    """
    if settings.origin:
        return frozenset({settings.origin.rstrip("/")})
    port = os.environ.get("TELEPSYCH_HTTP_PORT", "8000")
    return frozenset({f"http://127.0.0.1:{port}", f"http://localhost:{port}"})
