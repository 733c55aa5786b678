"""The way in and out: sign-in in two steps, invitations, sign-out, and staying signed in."""

from urllib.parse import urlsplit

import pyotp
import segno
from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug import Response

from telepsych.accounts import invitations, sign_in
from telepsych.accounts.models import FactorKind
from telepsych.accounts.sign_in import Next, SignedIn
from telepsych.core.actor import Decision
from telepsych.core.errors import Invalid, SignInNeeded, TooMany
from telepsych.web import sessions
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


@bp.get("/sign-in")
@public("sign-in")
def sign_in_page() -> ResponseReturnValue:
    locked = visitor().standing is Standing.LOCKED
    return render_template("accounts/sign_in.html", next=_own_path(request.args.get("next", "")), locked=locked)


@bp.post("/sign-in", endpoint="sign_in")
@public("sign-in")
def sign_in_post() -> ResponseReturnValue:
    email, way = request.form.get("email", ""), _own_path(request.form.get("next", ""))
    try:
        password = request.form.get("password", "")
        done = sign_in.with_password(practice, email, password, address=request.remote_addr or "", device=_device())
    except (Invalid, TooMany) as error:
        page = render_template("accounts/sign_in.html", email=email, next=way, error=error)
        return page, error.status
    return _go_on(done, way)


@bp.get("/sign-in/code")
@public("sign-in")
def code() -> ResponseReturnValue:
    _half()
    return render_template("accounts/code.html", next=_own_path(request.args.get("next", "")))


@bp.post("/sign-in/code")
@public("sign-in")
def code_post() -> ResponseReturnValue:
    way = _own_path(request.form.get("next", ""))
    try:
        done = sign_in.with_code(practice, _half(), request.form.get("code", ""), device=_device())
    except (Invalid, TooMany) as error:
        return render_template("accounts/code.html", next=way, error=error), error.status
    return _go_on(done, way)


@bp.get("/sign-in/authenticator")
@public("sign-in")
def authenticator() -> ResponseReturnValue:
    return _authenticator_page(_half(), pyotp.random_base32())


@bp.post("/sign-in/authenticator")
@public("sign-in")
def authenticator_post() -> ResponseReturnValue:
    row, seed = _half(), request.form.get("seed", "")
    try:
        done = sign_in.enrol(practice, row, seed, request.form.get("code", ""), device=_device())
    except Invalid as error:
        return _authenticator_page(row, seed, error), error.status
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
        done = invitations.accept(practice, token, password, device=_device())
    except Invalid as error:
        return render_template("accounts/password.html", token=token, invited=invited, error=error), error.status
    return _go_on(done, "")


def _go_on(done: SignedIn, way: str) -> Response:
    target = url_for(AFTER[done.next], next=way or None) if done.next in AFTER else (way or "/")
    return set_cookie(redirect(target), done.token)


def _half() -> SignInSession:
    """The half-finished sign-in of this browser. Raises `SignInNeeded` when there is none, or it took too long."""
    who = visitor()
    if who.standing is not Standing.HALF or who.row is None:
        raise SignInNeeded
    return who.row


def _authenticator_page(row: SignInSession, seed: str, error: Invalid | None = None) -> str:
    with begin(writes=False, public="sign-in") as work:
        if sign_in.has_factor(work, row.person_id, FactorKind.TOTP):
            raise SignInNeeded
    if not sign_in.SEED.fullmatch(seed):
        seed = pyotp.random_base32()
    address = pyotp.TOTP(seed).provisioning_uri(name="Telepsych", issuer_name=practice.settings.practice_name)
    qr = segno.make(address).svg_data_uri(scale=5, border=2)
    return render_template("accounts/authenticator.html", seed=seed, qr=qr, error=error)


def _device() -> str:
    """The browser and system as the person would name them."""
    agent = request.headers.get("User-Agent", "")
    browsers = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
    systems = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac", "Mac"))
    browser = next((name for mark, name in browsers if mark in agent), "A browser")
    system = next((name for mark, name in systems if mark in agent), "computer")
    return f"{browser} on {system}"


def _own_path(text: str) -> str:
    """A path on this site to go on to after signing in; anything else becomes the home page."""
    parts = urlsplit(text)
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return text if is_ours and "\\" not in text and not any(ord(letter) < 32 for letter in text) else ""
