"""One question a page: answer, go back, leave and come back, look over, send. And the safety page.

Every page works with plain forms. Where scripts run, each answer is also saved the moment it is chosen.
"""

from typing import Any
from uuid import UUID

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.core.actor import Role
from telepsych.core.errors import Invalid, NotFound
from telepsych.core.ids import parse_id
from telepsych.core.words import gettext
from telepsych.questionnaires import pages, service
from telepsych.questionnaires.models import Response
from telepsych.questionnaires.service import Safety
from telepsych.triage.content import crisis
from telepsych.web.doors import begin, practice, signed_in

bp = Blueprint("questionnaires", __name__)

PEOPLE = (Role.PATIENT, Role.GUARDIAN, Role.CLINICIAN)


@bp.get("/questionnaires/<response_id>")
@signed_in(*PEOPLE)
def resume(response_id: str) -> ResponseReturnValue:
    """Wherever the person left off, on whichever device."""
    with begin(writes=False) as work:
        response = service.open_response(work, parse_id(response_id))
        return redirect(_next_place(response), 303)


@bp.get("/questionnaires/<response_id>/<item_id>")
@signed_in(*PEOPLE)
def question(response_id: str, item_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        response = service.open_response(work, parse_id(response_id))
        if response.is_completed:
            return redirect(url_for(".result", response_id=response.id), 303)
        return _question(response, item_id)


@bp.post("/questionnaires/<response_id>/<item_id>")
@signed_in(*PEOPLE)
def answer(response_id: str, item_id: str) -> ResponseReturnValue:
    leaves, given = "leave" in request.form, _given()
    if given is None:
        return _without_answer(parse_id(response_id), item_id, leaves)
    with begin() as work:
        saved = service.save_answer(work, parse_id(response_id), item_id, given)
        response = service.open_response(work, saved.response_id)
    if saved.safety:
        return redirect(url_for(".safety", response_id=saved.response_id), 303)
    if leaves:
        return redirect(_home_of(response), 303)
    following = None if "reviewing" in request.form else pages.item_after(response, item_id)
    if following is None:
        return redirect(url_for(".review", response_id=response.id), 303)
    return redirect(url_for(".question", response_id=response.id, item_id=following.id), 303)


@bp.put("/api/questionnaires/<response_id>/answers/<item_id>")
@signed_in(*PEOPLE)
def save(response_id: str, item_id: str) -> ResponseReturnValue:
    """Save an answer the moment it is chosen. Doing it twice is as good as once."""
    body: Any = request.get_json(silent=True)
    if not isinstance(body, dict) or "answer" not in body:
        raise Invalid
    with begin() as work:
        saved = service.save_answer(work, parse_id(response_id), item_id, body["answer"])
    where = url_for(".safety", response_id=saved.response_id) if saved.safety else None
    return jsonify(saved=True, at=saved.at, remaining=saved.remaining, goto=where)


@bp.get("/questionnaires/<response_id>/review")
@signed_in(*PEOPLE)
def review(response_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        response = service.open_response(work, parse_id(response_id))
        if response.is_completed:
            return redirect(url_for(".result", response_id=response.id), 303)
        page = pages.review_page(response)
    return render_template("questionnaires/review.html", page=page, home=_home_of(response))


@bp.post("/questionnaires/<response_id>/complete")
@signed_in(*PEOPLE)
def complete(response_id: str) -> ResponseReturnValue:
    with begin() as work:
        response = service.open_response(work, parse_id(response_id))
        if not response.is_completed and service.open_item(response) is not None:
            return redirect(url_for(".review", response_id=response.id), 303)
        service.complete(work, response.id)
    return redirect(url_for(".result", response_id=response.id), 303)


@bp.get("/questionnaires/<response_id>/result")
@signed_in(*PEOPLE)
def result(response_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        response = service.open_response(work, parse_id(response_id))
        if not response.is_completed:
            return redirect(_next_place(response), 303)
        line = service.line_of(work, response.id)
    sentence = pages.result_sentence(line)
    return render_template("questionnaires/result.html", line=line, sentence=sentence, home=_home_of(response))


@bp.get("/safety/<response_id>")
@signed_in(*PEOPLE)
def safety(response_id: str) -> ResponseReturnValue:
    """The calm page after an answer about self-harm. It says who looks and by when, and never blocks going on."""
    with begin(writes=False) as work:
        found = service.safety(work, parse_id(response_id))
    return _safety(found)


@bp.post("/safety/<response_id>")
@signed_in(*PEOPLE)
def leave_safety(response_id: str) -> ResponseReturnValue:
    says_safe = "safe" in request.form
    with begin() as work:
        response = service.leave_safety_page(work, parse_id(response_id), says_safe=says_safe)
    if says_safe:
        return redirect(url_for(".safety", response_id=response.id), 303)
    return redirect(_next_place(response), 303)


def _question(response: Response, item_id: str, error: str = "") -> str:
    item = next((one for one in service.asked(response) if one.id == item_id), None)
    if item is None:
        raise NotFound
    reviewing = "reviewing" in request.values
    page = pages.question_page(response, item, reviewing=reviewing, error=error)
    return render_template("questionnaires/question.html", page=page, home=_home_of(response))


def _given() -> str | None:
    """The option chosen, "declined", or None."""
    return "declined" if "decline" in request.form else request.form.get("answer")


def _without_answer(response_id: UUID, item_id: str, leaves: bool) -> ResponseReturnValue:
    with begin(writes=False) as work:
        response = service.open_response(work, response_id)
        if leaves:
            return redirect(_home_of(response), 303)
        error = gettext("Please choose one of the answers.")
        return _question(response, item_id, error), Invalid.status


def _next_place(response: Response) -> str:
    if service.safety_is_due(response):
        return url_for(".safety", response_id=response.id)
    if response.is_completed:
        return url_for(".result", response_id=response.id)
    item = service.open_item(response)
    if item is None:
        return url_for(".review", response_id=response.id)
    return url_for(".question", response_id=response.id, item_id=item.id)


def _home_of(response: Response) -> str:
    """Where the person came from: the check-in of the visit, or their home page."""
    return f"/check-in/{response.visit_id}" if response.visit_id else "/"


def _safety(found: Safety) -> str:
    content = crisis()
    lines = content.lines_of(
        content.safety_page,
        minor=found.minor,
        practice_phone=practice.settings.practice_phone,
        in_connecticut=found.in_connecticut,
    )
    return render_template("questionnaires/safety.html", page=found, words=content.safety_page, lines=lines)
