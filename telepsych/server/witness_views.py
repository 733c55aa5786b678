"""Being a witness for other practices' audit logs, over the witness protocol that transparency logs share (C2SP).

Machines call these, without a session: what counts is the signature of a log that the operator has let in. What is
shown holds a log's name, its size and a hash.
"""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from telepsych.audit import witness
from telepsych.core.errors import NotFound
from telepsych.web.doors import begin, practice, public

bp = Blueprint("witness", __name__)
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
SIZE = {"Content-Type": "text/x.tlog.size"}
LONGEST = 16 * 1024
"""Bytes of a request; the longest proof takes three thousand."""


@bp.post("/witness/add-checkpoint")
@public("witness")
def add_checkpoint() -> ResponseReturnValue:
    """Cosign another practice's checkpoint, if it goes on from the last one seen."""
    try:
        body = request.stream.read(LONGEST).decode("utf-8", "replace")
        shown = witness.read(body, practice.settings)
        with begin(public="witness") as work:
            return witness.cosign(work, shown), PLAIN
    except witness.Declined as no:
        return no.body, no.status, SIZE if no.status == 409 else PLAIN


@bp.get("/witness/checkpoint")
@public("witness")
def checkpoint() -> ResponseReturnValue:
    """The newest checkpoint seen of a log."""
    with begin(writes=False, public="witness") as work:
        note = witness.newest_of(work, request.args.get("origin", ""))
    if note is None:
        raise NotFound
    return note, PLAIN
