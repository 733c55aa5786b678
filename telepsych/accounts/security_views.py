"""Signing in, as everybody sets it up for themself: passkeys, password, authenticator, recovery sheet, address."""

from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.accounts import emails, factors, passkeys, passwords
from telepsych.accounts.browsers import browser, passkey_place
from telepsych.accounts.forms import Form, asked, faults
from telepsych.accounts.models import Person
from telepsych.accounts.pictures import picture_of
from telepsych.core.actor import Decision
from telepsych.core.errors import Conflict, Invalid, SignInNeeded
from telepsych.core.ids import parse_id
from telepsych.core.work import Work
from telepsych.web.doors import begin, practice, set_cookie, signed_in, visitor

bp = Blueprint("security", __name__, url_prefix="/account/security")
HOME = "security.index"


@bp.get("")
@signed_in()
def index() -> ResponseReturnValue:
    return _page()


@bp.get("/welcome")
@signed_in()
def welcome() -> ResponseReturnValue:
    """After an invitation: a calm offer of a passkey or a second step."""
    return render_template("accounts/welcome.html", has_passkeys=browser().site is not None, place=passkey_place())


# Passkeys


@bp.get("/passkeys/new")
@signed_in()
def new_passkey() -> ResponseReturnValue:
    with begin(writes=False) as work:
        work.require(Decision(True))
        work.require_fresh()
    return _new_passkey_page(Form())


@bp.post("/passkeys/options")
@signed_in()
def passkey_options() -> ResponseReturnValue:
    with begin() as work:
        return Response(factors.offer_passkey(work, browser()), content_type="application/json")


@bp.post("/passkeys")
@signed_in()
def add_passkey() -> ResponseReturnValue:
    typed = asked("name")
    try:
        with begin(writes=False) as work:
            work.require(Decision(True))
            work.require_fresh()
        made = passkeys.check_new(practice, browser(), request.form.get("passkey", ""), _me())
        with begin() as work:
            factors.add_passkey(work, made, typed["name"])
    except (Invalid, Conflict) as error:
        return _new_passkey_page(Form(typed, faults(error, "name"))), error.status
    return redirect(url_for(HOME), 303)


@bp.post("/passkeys/<factor_id>/name")
@signed_in()
def rename_passkey(factor_id: str) -> ResponseReturnValue:
    typed = asked("name")
    try:
        with begin() as work:
            factors.rename_passkey(work, parse_id(factor_id), typed["name"])
    except Invalid as error:
        return _page({factor_id: Form(typed, error.fields)}), error.status
    return redirect(url_for(HOME), 303)


@bp.post("/passkeys/<factor_id>/remove")
@signed_in()
def remove_passkey(factor_id: str) -> ResponseReturnValue:
    try:
        with begin() as work:
            factors.remove_passkey(work, parse_id(factor_id))
    except Conflict as error:
        return _page(error=error), error.status
    return redirect(url_for(HOME), 303)


# Password


@bp.post("/password")
@signed_in()
def change_password() -> ResponseReturnValue:
    password = request.form.get("password", "")
    with begin(writes=False) as work:
        person = _person(work)
        work.require_fresh()
        own, about = factors.factors_of(work, person.id), factors.known_words(work, person)
    try:
        enforced = own.needs_two or own.authenticator_since is not None
        passwords.check_strength(password, second_factor=enforced, about=about)
    except Invalid as error:
        return _page({"password": Form({}, error.fields)}), error.status
    hashed = passwords.hash_password(practice.vault, password)
    with begin() as work:
        token = factors.change_password(work, hashed)
    return set_cookie(redirect(url_for(HOME), 303), token)


# Authenticator


@bp.get("/authenticator")
@signed_in()
def authenticator() -> ResponseReturnValue:
    return _authenticator_page()


@bp.post("/authenticator")
@signed_in()
def set_authenticator() -> ResponseReturnValue:
    try:
        with begin() as work:
            factors.replace_authenticator(work, request.form.get("code", ""))
    except Invalid as error:
        return _authenticator_page(error), error.status
    return redirect(url_for(HOME), 303)


@bp.post("/authenticator/remove")
@signed_in()
def remove_authenticator() -> ResponseReturnValue:
    try:
        with begin() as work:
            factors.remove_authenticator(work)
    except Conflict as error:
        return _page(error=error), error.status
    return redirect(url_for(HOME), 303)


# Recovery sheet


@bp.get("/sheet")
@signed_in()
def sheet() -> ResponseReturnValue:
    with begin(writes=False) as work:
        own = factors.factors_of(work, _me())
    return render_template("accounts/sheet_offer.html", own=own)


@bp.post("/sheet")
@signed_in()
def new_sheet() -> ResponseReturnValue:
    """The only time the lines are shown."""
    with begin() as work:
        lines = factors.new_sheet(work)
        name, made_at = _person(work).name, work.now
    return render_template("accounts/sheet.html", lines=lines, name=name, made_at=made_at)


# Address


@bp.get("/email")
@signed_in()
def email() -> ResponseReturnValue:
    return _email_page(Form())


@bp.post("/email")
@signed_in()
def change_email() -> ResponseReturnValue:
    typed = asked("email")
    with begin(writes=False) as work:
        work.require(Decision(True))
        work.require_fresh()
    emails.count_attempt(practice, visitor().actor)
    try:
        with begin() as work:
            emails.change(work, typed["email"])
    except Invalid as error:
        return _email_page(Form(typed, faults(error, "email"))), error.status
    return redirect(url_for(HOME), 303)


def _page(forms: dict[str, Form] | None = None, error: Conflict | None = None) -> str:
    with begin(writes=False) as work:
        own, address = factors.factors_of(work, _me()), _person(work).email
    return render_template("accounts/security.html", own=own, email=address, forms=forms or {}, error=error)


def _new_passkey_page(form: Form) -> str:
    can = browser().site is not None
    return render_template("accounts/new_passkey.html", form=form, has_passkeys=can, place=passkey_place())


def _authenticator_page(error: Invalid | None = None) -> str:
    with begin() as work:
        seed = factors.offer_authenticator(work)
        replaces = factors.factors_of(work, _me()).authenticator_since is not None
    picture = picture_of(seed, practice.settings.practice_name)
    return render_template("accounts/own_authenticator.html", seed=seed, qr=picture, error=error, replaces=replaces)


def _email_page(form: Form) -> str:
    with begin(writes=False) as work:
        return render_template("accounts/email.html", form=form, email=_person(work).email)


def _person(work: Work) -> Person:
    work.require(Decision(True))
    return work.session.get_one(Person, _me())


def _me() -> UUID:
    person = visitor().actor.id
    if person is None:
        raise SignInNeeded
    return person
