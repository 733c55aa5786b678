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
VISITOR_COOKIE = "telepsych-visitor"


def csrf_token() -> str:
    """The token for forms and scripts on this page."""
    return str(practice.vault.mac("csrf", _bound_to().encode()).hex())


def protect(app: Flask) -> None:
    """Check every unsafe request before its view runs."""

    @app.before_request
    def check() -> None:
        if request.method in SAFE or request.endpoint is None:
            return
        if not _comes_from_us() or not hmac.compare_digest(_given(), csrf_token()):
            raise Refused(
                gettext("This page was open for a while, so we couldn't be sure it was you. Please try once more.")
            )

    @app.after_request
    def remember(response: Response) -> Response:
        if "new_visitor" in g:
            secure = practice.settings.origin.startswith("https://")
            response.set_cookie(VISITOR_COOKIE, g.new_visitor, httponly=True, samesite="Lax", secure=secure)
        return response


def _bound_to() -> str:
    row = visitor().row
    if row is not None and visitor().is_signed_in:
        return f"session:{row.id}"
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
