"""Keeping what people type: saved as they go, found again after a reload, on another device, after signing in again."""

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import delete, select

from telepsych.core.actor import Decision
from telepsych.core.clock import DAY
from telepsych.core.errors import Conflict, Invalid, TooLarge
from telepsych.core.work import Work
from telepsych.web.doors import begin, signed_in
from telepsych.web.models import Draft

bp = Blueprint("drafts", __name__, url_prefix="/api/drafts")
LARGEST = 64 * 1024
KEPT = 30 * DAY


class Typed(BaseModel):
    """What a form holds: field names and texts."""

    model_config = ConfigDict(extra="forbid")
    fields: dict[str, str]
    known: dict[str, str] | None = None
    """What the page last saw here. A text that somebody typed elsewhere since then is not overwritten."""


def keep(work: Work, place: str, fields: dict[str, str], known: dict[str, str] | None = None) -> None:
    """Keep a form's texts for the actor under a place, replacing what was kept. Raises `TooLarge` over 64 KiB.

    With `known`, only over what the page has seen: raises `Conflict` when something else is there by now.
    """
    work.require(Decision(work.actor.id is not None))
    if sum(len(name) + len(text) for name, text in fields.items()) > LARGEST:
        raise TooLarge
    row = _find(work, place)
    there = row.fields if row else {}
    if known is not None and there not in (known, fields):
        raise Conflict
    if row is None:
        work.add(Draft(person_id=work.actor.id, place=_hash(work, place), saved_at=work.now, fields=fields))
    else:
        row.fields, row.saved_at = fields, work.now


def kept(work: Work, place: str) -> dict[str, str]:
    """What the actor typed at a place and has not sent yet."""
    work.require(Decision(work.actor.id is not None))
    row = _find(work, place)
    return row.fields if row else {}


def discard(work: Work, place: str) -> None:
    """Drop the draft once its form has been sent; services call this in the unit that sends."""
    if work.actor.id is not None:
        mine = Draft.person_id == work.actor.id, Draft.place == _hash(work, place)
        work.session.execute(delete(Draft).where(*mine))


def drop_old(work: Work) -> None:
    """Forget drafts that nobody came back to in 30 days."""
    work.session.execute(delete(Draft).where(Draft.saved_at < work.now - KEPT))


def _find(work: Work, place: str) -> Draft | None:
    mine = Draft.person_id == work.actor.id, Draft.place == _hash(work, place)
    return work.session.scalar(select(Draft).where(*mine))


def _hash(work: Work, place: str) -> bytes:
    digest: bytes = work.practice.vault.mac("drafts", place.encode())
    return digest


@bp.get("/<place>")
@signed_in()
def show(place: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        return jsonify(fields=kept(work, place))


@bp.put("/<place>")
@signed_in()
def save(place: str) -> ResponseReturnValue:
    try:
        typed = Typed.model_validate(request.get_json(silent=True))
    except ValidationError:
        raise Invalid from None
    with begin() as work:
        keep(work, place, typed.fields, typed.known)
    return jsonify(saved=True)


@bp.delete("/<place>")
@signed_in()
def forget(place: str) -> ResponseReturnValue:
    with begin() as work:
        work.require(Decision(True))
        discard(work, place)
    return jsonify(saved=False)
