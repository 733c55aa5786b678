"""Refusing requests that another site made a browser send.

Every unsafe request needs a token bound to the session (or, before sign-in, to a random visitor cookie), in the field
`csrf_token` or the header `X-CSRF-Token`; its `Origin` and `Sec-Fetch-Site`, where a browser sends them, must be ours.
"""

import hmac
import secrets
from urllib.parse import urlsplit

from flask import Flask, Response, g, request

from telepsych.core.errors import Refused
from telepsych.core.words import gettext
from telepsych.web.doors import practice, visitor

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OF_THE_BROWSER = frozenset({"reports.take"})
"""What browsers send by themselves, without a token; it changes nothing but a count."""
OF_MACHINES = frozenset({"witness.add_checkpoint"})
"""What other servers send, without a session and signed by themselves."""
UNBOUND = OF_THE_BROWSER | OF_MACHINES
VISITOR_COOKIE = "telepsych-visitor"


def csrf_token() -> str:
    """The token for forms and scripts on this page."""
    return _token(_bound_to())


def protect(app: Flask) -> None:
    """Check every unsafe request before its view runs."""

    @app.before_request
    def check() -> None:
        if request.method in SAFE or request.endpoint is None or request.endpoint in UNBOUND:
            return
        if not is_of_our_page():
            raise Refused(
                gettext("This page was open for a while, so we couldn't be sure it was you. Please try once more.")
            )

    @app.after_request
    def remember(response: Response) -> Response:
        if "new_visitor" in g:
            secure = practice.settings.is_https
            response.set_cookie(VISITOR_COOKIE, g.new_visitor, httponly=True, samesite="Lax", secure=secure)
        return response


def is_of_our_page() -> bool:
    """Whether a page of ours sent this request: its token is this browser's, and it comes from our own address."""
    return _comes_from_us() and _is_ours(_given())


def _token(bound_to: str) -> str:
    return str(practice.vault.mac("csrf", bound_to.encode()).hex())


def _is_ours(given: str) -> bool:
    """Whether it is this browser's token, or that of its session before it was locked or ended.

    Pages of such a session are still open; they are to hear that it is over, not that they come from elsewhere.
    """
    row = visitor().row
    good = [csrf_token()] + ([_token(f"session:{row.chain}")] if row is not None else [])
    return any(hmac.compare_digest(given.encode(), one.encode()) for one in good)


def _bound_to() -> str:
    row = visitor().row
    if row is not None and visitor().is_signed_in:
        return f"session:{row.chain}"
    known = request.cookies.get(VISITOR_COOKIE) or g.get("new_visitor")
    if not known:
        known = g.new_visitor = secrets.token_urlsafe(24)
    return f"visitor:{known}"


def _given() -> str:
    header = request.headers.get("X-CSRF-Token")
    return header if header is not None else request.form.get("csrf_token", "")


def _comes_from_us() -> bool:
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host
