"""One place turns errors into a page or, for scripts, problem details (RFC 9457). Anything unexpected is a defect:
logged under a reference and shown as an apology with it, never with what the person typed."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from flask import Flask, Response, current_app, g, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from telepsych.audit import service as audit
from telepsych.core.errors import (
    Invalid,
    NotFound,
    Refused,
    SignInNeeded,
    StepUpNeeded,
    TelepsychError,
    TooLarge,
    TooMany,
    Unavailable,
    kind_and_place,
)
from telepsych.web import kept_forms
from telepsych.web.doors import practice, stop_asking, visitor
from telepsych.web.sessions import Standing

log = logging.getLogger("telepsych.web")

KNOWN = {404: NotFound, 403: Refused, 413: TooLarge, 422: Invalid, 429: TooMany, 503: Unavailable}


AskAgain = Callable[[StepUpNeeded], ResponseReturnValue]
"""The page that asks for a fresh factor and keeps what was sent; a higher room has it."""


def install(app: Flask, ask_again: AskAgain | None = None) -> None:
    """Answer every error of the app."""
    app.extensions["telepsych-ask-again"] = ask_again or answer
    app.register_error_handler(TelepsychError, expected)
    app.register_error_handler(HTTPException, of_http)
    app.register_error_handler(Exception, unexpected)


def wants_json() -> bool:
    """Whether a script is asking."""
    return request.path.startswith("/api/") or request.accept_mimetypes.best == "application/json"


def expected(error: TelepsychError) -> ResponseReturnValue:
    """An error of our family."""
    if isinstance(error, Refused):
        _note_refusal(error)
    if isinstance(error, Unavailable):
        stop_asking()
    if isinstance(error, SignInNeeded) and not wants_json():
        return redirect(url_for("accounts.sign_in_page", next=_way_back() or None))
    if isinstance(error, StepUpNeeded) and not wants_json():
        return cast(AskAgain, current_app.extensions["telepsych-ask-again"])(error)
    return answer(error)


def of_http(error: HTTPException) -> ResponseReturnValue:
    """An error of the framework, in our own words."""
    if error.code is None or error.code < 400:
        return error
    family = KNOWN.get(error.code, TelepsychError)()
    return answer(family, error.code)


def unexpected(error: Exception) -> ResponseReturnValue:
    """A defect. The log gets the kind of error and where, never its values."""
    log.error("defect %s %s", g.get("request_id"), kind_and_place(error))
    if practice.settings.debug_errors:
        raise error
    return answer(TelepsychError())


def answer(error: TelepsychError, status: int | None = None) -> Response:
    """The error as a page or as problem details, with a reference."""
    code = status or error.status
    reference = g.get("request_id", "")
    if wants_json():
        response = jsonify(_problem(error, code, reference))
        response.content_type = "application/problem+json"
    elif isinstance(error, TooMany) and kept_forms.may_be_sent_again():
        response = Response(_send_again(error))
    else:
        response = Response(render_template("shared/error.html", error=error, status=code, reference=reference))
    response.status_code = code
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _send_again(error: TooMany) -> str:
    """The page for a form that came too fast: it keeps what was typed, and its button sends the same form once more."""
    kept, lost_files = kept_forms.fields(), kept_forms.lost_files()
    return render_template("shared/too_fast.html", error=error, kept=kept, lost_files=lost_files)


def _problem(error: TelepsychError, code: int, reference: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": f"about:blank#{error.kind}",
        "title": HTTPStatus(code).phrase,
        "status": code,
        "detail": error.sentence,
        "reference": reference,
    }
    if isinstance(error, Invalid) and error.fields:
        body["fields"] = error.fields
    if isinstance(error, SignInNeeded):
        body["locked"] = visitor().standing is Standing.LOCKED
    return body


def _note_refusal(error: Refused) -> None:
    try:
        audit.refused(
            practice, visitor().actor, "refused", f"route:{request.endpoint}"[:96], g.request_id, error.sentence
        )
    except Unavailable:
        log.error("refusal not recorded %s", g.request_id)


def _way_back() -> str:
    """Where signing in leads back to: the page asked for, with its query, whose values name nobody."""
    return request.full_path.rstrip("?") if request.method == "GET" else ""
