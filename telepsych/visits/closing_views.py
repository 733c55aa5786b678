"""After a visit: the clinician writes what the patient takes home, the patient reads it."""

from collections.abc import Mapping

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.core.actor import Compartment, Role
from telepsych.core.errors import Invalid
from telepsych.core.ids import parse_id
from telepsych.core.work import Work
from telepsych.visits import closing, pages, policy, service
from telepsych.visits.blueprint import ANYBODY, bp
from telepsych.visits.models import Visit
from telepsych.visits.states import HELD, VisitState
from telepsych.web import drafts
from telepsych.web.doors import begin, signed_in


@bp.get("/visits/<visit_id>/close")
@signed_in(Role.CLINICIAN)
def close(visit_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        visit = service.visit(work, parse_id(visit_id))
        if visit.state not in HELD:
            work.require(policy.may_end(work.actor, visit))
            return redirect(url_for(".show_room", visit_id=visit.id), 303)
        work.require(policy.may_summarise(work.actor, visit))
        return _close(work, visit, _begun(work, visit), {})


@bp.post("/visits/<visit_id>/close")
@signed_in(Role.CLINICIAN)
def summarise(visit_id: str) -> ResponseReturnValue:
    wanted = parse_id(visit_id)
    try:
        with begin() as work:
            closing.summarise(work, wanted, request.form, private="private" in request.form)
            drafts.discard(work, f"visit-close-{wanted}")
    except Invalid as error:
        with begin(writes=False) as work:
            typed = {name: request.form.get(name, "") for name in closing.FIELDS}
            return _close(work, service.visit(work, wanted), typed, error.fields), error.status
    return redirect(url_for(".summary", visit_id=wanted), 303)


@bp.get("/visits/<visit_id>/summary")
@signed_in(*ANYBODY)
def summary(visit_id: str) -> ResponseReturnValue:
    """The summary; until it is written, a page that says so."""
    wanted = parse_id(visit_id)
    with begin(writes=False) as work:
        visit = service.visit(work, wanted)
        clinician = service.clinician_name(work, visit)
        if visit.state is not VisitState.SUMMARISED or closing.summary_of(work, visit) is None:
            sentence = service.sentence_for(work, visit)
            return render_template("visits/not_open.html", visit=visit, sentence=sentence)
        visit, found = closing.open_summary(work, wanted)
    page = pages.SummaryPage(visit, found, clinician, found.compartment is Compartment.CONFIDENTIAL)
    return render_template("visits/summary.html", page=page)


def _begun(work: Work, visit: Visit) -> Mapping[str, str]:
    written = closing.summary_of(work, visit)
    if written is None:
        return closing.suggestions(work, visit)
    return {name: getattr(written, name) for name in closing.FIELDS}


def _close(work: Work, visit: Visit, values: Mapping[str, str], errors: Mapping[str, str]) -> str:
    written = closing.summary_of(work, visit)
    page = pages.ClosePage(
        visit=visit,
        values=values,
        errors=errors,
        may_be_private=closing.may_be_private(work, visit) and written is None,
        private="private" in request.form,
        written=written is not None,
    )
    return render_template("visits/close.html", page=page)
