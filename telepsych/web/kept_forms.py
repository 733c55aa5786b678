"""A form that was sent and could not go on yet, kept in the page that says so: nothing that was typed is lost, and it
works without scripts. Files cannot be kept; they have to be chosen again."""

from flask import request
from werkzeug.exceptions import HTTPException

from telepsych.web import csrf


def fields(besides: str = "") -> list[tuple[str, str]]:
    """The fields of the form, in their order. `besides` is how the names of those begin that belong to the page."""
    given = request.form.items(multi=True)
    return [(name, text) for name, text in given if name != "csrf_token" and not (besides and name.startswith(besides))]


def lost_files() -> bool:
    """Whether files came with the form."""
    return bool(request.files)


def may_be_sent_again() -> bool:
    """Whether this request was a form of our own page.

    What another site made the browser send must never come back as a page of ours with a button that sends it. This is
    asked before `csrf.protect` has looked, and a body that is too large to read is not kept.
    """
    if request.method != "POST":
        return False
    try:
        return csrf.is_of_our_page()
    except HTTPException:
        return False
