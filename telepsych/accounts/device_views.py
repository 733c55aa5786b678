"""Everybody's own page of where they are signed in; and the cookie by which a browser is known again."""

import logging
from uuid import UUID

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.accounts import devices
from telepsych.core.errors import Invalid, SignInNeeded, Unavailable
from telepsych.core.ids import parse_id
from telepsych.web.doors import NOBODY, begin, practice, signed_in, visitor

log = logging.getLogger("telepsych.web")
bp = Blueprint("devices", __name__)
KEPT = 400 * 86_400
"""Seconds for which a browser keeps its token; browsers allow no more."""


@bp.get("/account/devices")
@signed_in()
def index() -> ResponseReturnValue:
    return _page()


@bp.post("/account/devices/<session_id>/name")
@signed_in()
def rename(session_id: str) -> ResponseReturnValue:
    name = request.form.get("name", "")
    try:
        with begin() as work:
            devices.rename(work, parse_id(session_id), name)
    except Invalid as error:
        return _page(parse_id(session_id), name, error.fields), error.status
    return redirect(url_for("devices.index"), 303)


@bp.post("/account/devices/<session_id>/end")
@signed_in()
def end(session_id: str) -> ResponseReturnValue:
    with begin() as work:
        devices.end(work, _me(), parse_id(session_id))
    return redirect(url_for("devices.index"), 303)


@bp.post("/account/devices/end-others")
@signed_in()
def end_others() -> ResponseReturnValue:
    with begin() as work:
        devices.end_others(work, _me())
    return redirect(url_for("devices.index"), 303)


@bp.after_app_request
def remember_device(response: Response) -> Response:
    """Whenever a browser was handed a session: know it again, or note that it is new to this person."""
    token = g.pop("handed_over", "")
    if not token:
        return response
    try:
        with practice.begin(NOBODY, public="device", request_id=g.request_id) as work:
            kept = devices.remember(work, token, request.cookies.get(_cookie_name(), ""))
    except Unavailable:
        log.error("device not noted %s", g.request_id)
        return response
    if kept:
        response.set_cookie(
            _cookie_name(),
            kept,
            max_age=KEPT,
            httponly=True,
            samesite="Lax",
            secure=practice.settings.is_https,
            path="/",
        )
    return response


def _page(wrong: UUID | None = None, typed: str = "", errors: dict[str, str] | None = None) -> str:
    with begin(writes=False) as work:
        found = devices.devices_of(work, _me())
    return render_template("accounts/devices.html", devices=found, wrong=wrong, typed=typed, errors=errors or {})


def _me() -> UUID:
    person = visitor().actor.id
    if person is None:
        raise SignInNeeded
    return person


def _cookie_name() -> str:
    return "__Host-telepsych-device" if practice.settings.is_https else "telepsych-device"
