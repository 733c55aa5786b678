"""The way in and out: a passkey, or a password and a second step; invitations, sign-out, and staying signed in."""

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug import Response as WsgiResponse

from telepsych.accounts import factors, invitations, sign_in
from telepsych.accounts.browsers import browser, device, own_path, passkey_place
from telepsych.accounts.passkeys import options_for_sign_in
from telepsych.accounts.pictures import picture_of
from telepsych.accounts.sign_in import Next, SignedIn
from telepsych.core.actor import Actor, Decision
from telepsych.core.errors import Conflict, Invalid, SignInNeeded, TooMany
from telepsych.web import sessions
from telepsych.web.addresses import address
from telepsych.web.doors import (
    begin,
    clear_cookie,
    forget_visitor,
    practice,
    public,
    set_cookie,
    signed_in,
    visitor,
)
from telepsych.web.models import SignInSession
from telepsych.web.sessions import Standing

bp = Blueprint("accounts", __name__)

AFTER = {Next.CODE: "accounts.code", Next.AUTHENTICATOR: "accounts.authenticator"}
FIRST_NAME = "My first passkey"


@bp.get("/sign-in")
@public("sign-in")
def sign_in_page() -> ResponseReturnValue:
    locked = visitor().standing is Standing.LOCKED
    return _sign_in_page(own_path(request.args.get("next", "")), locked=locked)


@bp.post("/sign-in", endpoint="sign_in")
@public("sign-in")
def sign_in_post() -> ResponseReturnValue:
    email, way = request.form.get("email", ""), own_path(request.form.get("next", ""))
    try:
        password = request.form.get("password", "")
        done = sign_in.with_password(practice, email, password, address=address(), device=device())
    except (Invalid, TooMany) as error:
        return _refused(_sign_in_page(way, email=email, error=error), error)
    return _go_on(done, way)


@bp.post("/sign-in/passkey/options")
@public("sign-in")
def passkey_options() -> ResponseReturnValue:
    with practice.begin(Actor(id=None, label="public:sign-in"), public="sign-in") as work:
        return _json(options_for_sign_in(work, browser()))


@bp.post("/sign-in/passkey")
@public("sign-in")
def passkey_post() -> ResponseReturnValue:
    way = own_path(request.form.get("next", ""))
    who = visitor()
    half = who.row if who.standing is Standing.HALF else None
    try:
        answer = request.form.get("passkey", "")
        done = sign_in.with_passkey(practice, browser(), answer, device=device(), half=half)
    except Invalid as error:
        page = _code_page(way, error=error) if half else _sign_in_page(way, error=error)
        return _refused(page, error)
    return _go_on(done, way)


@bp.get("/sign-in/code")
@public("sign-in")
def code() -> ResponseReturnValue:
    _half()
    return _code_page(own_path(request.args.get("next", "")))


@bp.post("/sign-in/code")
@public("sign-in")
def code_post() -> ResponseReturnValue:
    way, row = own_path(request.form.get("next", "")), _half()
    try:
        done = sign_in.with_code(practice, row, request.form.get("code", ""), device=device())
    except (Invalid, TooMany) as error:
        return _refused(_code_page(way, error=error), error)
    return _go_on(done, way)


@bp.post("/sign-in/recovery")
@public("sign-in")
def recovery_post() -> ResponseReturnValue:
    way, row, line = own_path(request.form.get("next", "")), _half(), request.form.get("line", "")
    try:
        done = sign_in.with_line(practice, row, line, device=device())
    except (Invalid, TooMany) as error:
        return _refused(_code_page(way, error=error, line=line), error)
    return _go_on(done, way)


@bp.get("/sign-in/authenticator")
@public("sign-in")
def authenticator() -> ResponseReturnValue:
    return _authenticator_page(_half())


@bp.post("/sign-in/authenticator")
@public("sign-in")
def authenticator_post() -> ResponseReturnValue:
    row = _half()
    try:
        done = sign_in.enrol(practice, row, request.form.get("code", ""), device=device())
    except Invalid as error:
        return _refused(_authenticator_page(row, error), error)
    return _go_on(done, "")


@bp.post("/sign-in/authenticator/passkey/options")
@public("sign-in")
def first_passkey_options() -> ResponseReturnValue:
    return _json(sign_in.offer_passkey(practice, _half(), browser()))


@bp.post("/sign-in/authenticator/passkey")
@public("sign-in")
def first_passkey_post() -> ResponseReturnValue:
    row, answer = _half(), request.form.get("passkey", "")
    try:
        done = sign_in.enrol_passkey(practice, row, browser(), answer, FIRST_NAME, device=device())
    except (Invalid, Conflict) as error:
        return _refused(_authenticator_page(row, error), error)
    return _go_on(done, "")


@bp.post("/sign-out")
@signed_in()
def sign_out() -> ResponseReturnValue:
    row = visitor().row
    if row is None:
        raise SignInNeeded
    with begin() as work:
        sign_in.sign_out(work, row)
    forget_visitor()
    response = clear_cookie(redirect(url_for("accounts.sign_in_page")))
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@bp.post("/api/session/extend")
@signed_in()
def extend() -> ResponseReturnValue:
    row = visitor().row
    with begin() as work:
        work.require(Decision(row is not None))
        if row is not None:
            sessions.touch(work, row.id)
    return jsonify(extended=True)


@bp.get("/invitation")
@public("invitation")
def invitation() -> ResponseReturnValue:
    return render_template("accounts/invitation.html")


@bp.post("/invitation")
@public("invitation")
def invitation_post() -> ResponseReturnValue:
    token = request.form.get("token", "")
    try:
        with begin(writes=False, public="invitation") as work:
            invited = invitations.look_up(work, token)
    except Invalid as error:
        return render_template("accounts/invitation.html", token=token, error=error), error.status
    return render_template("accounts/password.html", token=token, invited=invited)


@bp.post("/invitation/password")
@public("invitation")
def invitation_password() -> ResponseReturnValue:
    token, password = request.form.get("token", ""), request.form.get("password", "")
    with begin(writes=False, public="invitation") as work:
        invited = invitations.look_up(work, token)
    try:
        done = invitations.accept(practice, token, password, device=device())
    except Invalid as error:
        return render_template("accounts/password.html", token=token, invited=invited, error=error), error.status
    return _go_on(done, url_for("security.welcome"))


def _go_on(done: SignedIn, way: str) -> WsgiResponse:
    target = way or "/"
    if done.next is Next.SHEET:
        target = url_for("security.sheet")
    elif done.next in AFTER:
        target = url_for(AFTER[done.next], next=way or None)
    return set_cookie(redirect(target), done.token)


def _half() -> SignInSession:
    """The half-finished sign-in of this browser. Raises `SignInNeeded` when there is none, or it took too long."""
    who = visitor()
    if who.standing is not Standing.HALF or who.row is None:
        raise SignInNeeded
    return who.row


def _sign_in_page(way: str, **more: object) -> str:
    can = browser().site is not None
    return render_template("accounts/sign_in.html", next=way, has_passkeys=can, place=passkey_place(), **more)


def _code_page(way: str, **more: object) -> str:
    row = _half()
    with practice.begin(Actor(id=row.person_id, label="public:sign-in"), writes=False, public="sign-in") as work:
        if sign_in.needs_setting_up(work, row.person_id):
            raise SignInNeeded
        own = factors.factors_of(work, row.person_id)
    can = browser().site is not None and bool(own.passkeys)
    has_code = own.authenticator_since is not None
    return render_template("accounts/code.html", next=way, has_passkeys=can, has_code=has_code, own=own, **more)


def _authenticator_page(row: SignInSession, error: Invalid | Conflict | None = None) -> str:
    """Setting a second factor up. Raises `SignInNeeded` where there is one already."""
    with practice.begin(Actor(id=row.person_id, label="public:sign-in"), writes=False, public="sign-in") as work:
        if not sign_in.needs_setting_up(work, row.person_id):
            raise SignInNeeded
    seed = sign_in.offer(practice, row)
    picture = picture_of(seed, practice.settings.practice_name)
    more = {"has_passkeys": browser().site is not None, "place": passkey_place()}
    return render_template("accounts/authenticator.html", seed=seed, qr=picture, error=error, **more)


def _json(text: str) -> Response:
    return Response(text, content_type="application/json")


def _refused(page: str, error: Invalid | Conflict | TooMany) -> ResponseReturnValue:
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooMany) else {}
    return page, error.status, headers
