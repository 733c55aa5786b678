"""The page that asks for a fresh factor. It keeps the form that somebody had just sent, and sends it on afterwards.

A form is kept in the page itself, so it works without scripts: the answer to the right factor asks the browser to send
the same form once more to where it was meant for (307). Files cannot be kept; they have to be chosen again.
"""

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.accounts import step_up
from telepsych.accounts.browsers import browser, own_path
from telepsych.core.errors import Invalid, StepUpNeeded, TooMany
from telepsych.web import kept_forms
from telepsych.web.addresses import address
from telepsych.web.doors import begin, practice, set_cookie, signed_in, visitor

bp = Blueprint("step_up", __name__)
OURS = "step_up_"
"""How the fields of this page begin; those of a form that is kept don't."""


def ask_again(error: StepUpNeeded) -> ResponseReturnValue:
    """What a page answers when it asks for a fresh factor: this page, with what was sent."""
    if request.method in ("GET", "HEAD"):
        return redirect(url_for("step_up.page", next=request.full_path.rstrip("?")), 303)
    return _page(target=request.full_path.rstrip("?")), error.status


@bp.get("/step-up")
@signed_in()
def page() -> ResponseReturnValue:
    return _page(way=own_path(request.args.get("next", "")))


@bp.post("/step-up")
@signed_in()
def show() -> ResponseReturnValue:
    target, way = own_path(_ours("target")), own_path(_ours("next"))
    try:
        token = _shown()
    except (Invalid, TooMany) as error:
        return _page(target=target, way=way, error=error), error.status
    answer = redirect(target, 307) if target else redirect(way or "/", 303)
    return set_cookie(answer, token)


@bp.post("/step-up/passkey/options")
@signed_in()
def passkey_options() -> ResponseReturnValue:
    with begin() as work:
        return Response(step_up.passkey_options(work, browser()), content_type="application/json")


def _shown() -> str:
    actor, answer = visitor().actor, _ours("passkey")
    if answer:
        return step_up.with_passkey(practice, actor, browser(), answer)
    return step_up.with_password(practice, actor, _ours("password"), _ours("code"), address=address())


def _page(*, target: str = "", way: str = "", error: Invalid | TooMany | None = None) -> str:
    with begin(writes=False) as work:
        has_passkeys, asks_code = step_up.ways(work)
    return render_template(
        "accounts/step_up.html",
        kept=kept_forms.fields(besides=OURS) if target else [],
        target=target,
        next=way,
        error=error,
        has_passkeys=has_passkeys and browser().site is not None,
        asks_code=asks_code,
        lost_files=kept_forms.lost_files(),
    )


def _ours(name: str) -> str:
    return request.form.get(OURS + name, "")
