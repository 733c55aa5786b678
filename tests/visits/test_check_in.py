"""The check-in: each answer saved as it is given, taken up on another device, and read by the rules."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from support.cast import Cast, Client, Member

from telepsych.core.actor import Compartment
from telepsych.core.clock import DAY
from telepsych.core.errors import Refused
from telepsych.patients import consent_content
from telepsych.patients import service as patients
from telepsych.triage.models import ItemKind, WorkItem
from telepsych.visits import check_in, service
from telepsych.visits.forms import StepKey
from telepsych.visits.models import CheckInAnswer
from telepsych.visits.states import VisitState

from .conftest import ANSWERS, WHERE, Booked


def sign(cast: Cast, booked: Booked, who: Member, **changes: str) -> None:
    with cast.begin(who) as work:
        text = check_in.consent_text(work)
        patient = patients.open_patient(work, booked.patient.record)
        years = patients.age(patient, work.now, cast.practice.settings.tz)
        given = {question.id: "no" for question in text.questions}
        values: dict[str, Any] = {"signer_name": who.name, "agreed": "I agree", "answers": given, **changes}
        check_in.sign(work, booked.id, digest=consent_content.digest(text, years), **values)


def step_of(cast: Cast, booked: Booked, key: StepKey, who: Member | None = None) -> check_in.Step:
    with cast.begin(who or booked.patient, writes=False) as work:
        found = check_in.readiness(work, service.visit(work, booked.id)).steps
    return next(step for step in found if step.key == key.value)


def items(cast: Cast) -> list[WorkItem]:
    with cast.system(writes=False) as work:
        work.asked = True
        return list(work.session.scalars(select(WorkItem)))


def test_each_page_is_saved_and_found_again_on_another_device(
    cast: Cast, booked: Booked, client_for: Callable[[Member], Client]
) -> None:
    phone, laptop = client_for(cast.patient), client_for(cast.patient)
    base = f"/check-in/{booked.id}"
    assert "Where you are" in phone.get(base).get_data(as_text=True)
    for step, form in ANSWERS.items():
        opened = phone.get(f"{base}/{step}")
        assert opened.status_code == 200, step
        sent = phone.post(f"{base}/{step}", data=form)
        assert sent.status_code == 303, (step, sent.get_data(as_text=True))
    again = laptop.get(f"{base}/where").get_data(as_text=True)
    assert WHERE["address"] in again
    assert 'value="CT" selected' in again
    assert ANSWERS["questions"]["question1"] in laptop.get(f"{base}/questions").get_data(as_text=True)
    assert step_of(cast, booked, StepKey.WHERE).done
    with cast.begin(cast.clinician, writes=False) as work:
        known = {code: fact.value for code, fact in patients.facts_of(work, cast.patient.record).items()}
    assert known["visit.state"] == "CT"
    assert known["visit.private"] is True
    assert known["means.access"] is False
    assert known["emergency_contact.present"] is True
    assert known["visit.callback_number"] == "(203) 555-0144"


def test_a_page_with_a_mistake_keeps_what_was_typed(
    cast: Cast, booked: Booked, client_for: Callable[[Member], Client]
) -> None:
    browser = client_for(cast.patient)
    answer = browser.post(f"/check-in/{booked.id}/where", data={"state": "CT", "address": "12 Elm Street"})
    assert answer.status_code == 422
    assert "12 Elm Street" in answer.get_data(as_text=True)
    assert not step_of(cast, booked, StepKey.WHERE).done


def test_the_consent_is_signed_by_whom_the_law_asks(cast: Cast, book_for: Callable[[Member], Booked]) -> None:
    booked = book_for(cast.adolescent)
    sign(cast, booked, cast.adolescent)
    assert not step_of(cast, booked, StepKey.CONSENT).done
    sign(cast, booked, cast.guardian)
    assert step_of(cast, booked, StepKey.CONSENT).done
    with pytest.raises(Refused):
        sign(cast, booked, cast.guardian)


def test_the_consent_page_ticks_nothing_for_anybody(
    cast: Cast, booked: Booked, client_for: Callable[[Member], Client]
) -> None:
    browser = client_for(cast.patient)
    page = browser.get(f"/check-in/{booked.id}/consent").get_data(as_text=True)
    assert " checked" not in page
    assert "I agree to visits by video or phone" in page
    answer = browser.post(f"/check-in/{booked.id}/consent", data={"signer_name": "Juniper Example", "agreed": "no"})
    assert answer.status_code == 422
    assert "Juniper Example" in answer.get_data(as_text=True)
    digest = page.split('name="digest" value="')[1].split('"')[0]
    form = {"signer_name": "Juniper Example", "agreed": "i agree.", "digest": digest}
    with cast.system(writes=False) as work:
        work.asked = True
        form |= {question.id: "yes" for question in check_in.consent_text(work).questions}
    assert browser.post(f"/check-in/{booked.id}/consent", data=form).status_code == 303
    assert step_of(cast, booked, StepKey.CONSENT).done


def test_consent_is_taken_back_on_the_page_that_promises_it(
    cast: Cast, booked: Booked, client_for: Callable[[Member], Client]
) -> None:
    sign(cast, booked, cast.patient)
    browser, path = client_for(cast.patient), f"/check-in/{booked.id}/consent"
    assert "Take back my consent" in browser.get(path).get_data(as_text=True)
    assert browser.post(f"{path}/withdrawal").status_code == 303
    page = browser.get(path).get_data(as_text=True)
    assert "taken back" in page
    assert "Take back my consent</" not in page
    assert not step_of(cast, booked, StepKey.CONSENT).done
    assert client_for(cast.other_patient).post(f"{path}/withdrawal").status_code == 404


def test_outside_our_states_is_told_kindly_and_stops_no_answer(
    cast: Cast, booked: Booked, client_for: Callable[[Member], Client]
) -> None:
    browser = client_for(cast.patient)
    away = {**WHERE, "state": "NY", "address": "5 Long Road, Albany"}
    answer = browser.post(f"/check-in/{booked.id}/where", data=away)
    page = browser.get(answer.headers["Location"]).get_data(as_text=True)
    assert "only in states where they have a license" in page
    assert "988" in page
    assert [item.kind for item in items(cast)] == [ItemKind.CALL_BACK]
    assert browser.post(f"/check-in/{booked.id}/phone", data=ANSWERS["phone"]).status_code == 303


def test_not_safe_to_talk_reaches_the_team(cast: Cast, booked: Booked, client_for: Callable[[Member], Client]) -> None:
    browser = client_for(cast.patient)
    answer = browser.post(f"/check-in/{booked.id}/privacy", data={"safe": "no", "company": "near"})
    page = browser.get(answer.headers["Location"]).get_data(as_text=True)
    assert "Thank you for telling us" in page
    assert any("not safe to talk" in item.title for item in items(cast))


def test_what_is_written_for_the_visit_is_screened(
    cast: Cast, booked: Booked, client_for: Callable[[Member], Client]
) -> None:
    browser = client_for(cast.patient)
    answer = browser.post(f"/check-in/{booked.id}/questions", data={"question1": "I want to kill myself tonight"})
    assert "988" in browser.get(answer.headers["Location"]).get_data(as_text=True)
    assert any(item.kind is ItemKind.SAFETY_ANSWER for item in items(cast))


def test_a_young_persons_private_answers_stay_theirs(cast: Cast, book_for: Callable[[Member], Booked]) -> None:
    booked = book_for(cast.adolescent)
    with cast.begin(cast.adolescent) as work:
        check_in.save(work, booked.id, StepKey.MEANS, {"access": "yes"})
    with cast.system(writes=False) as work:
        work.asked = True
        assert work.session.scalars(select(CheckInAnswer.compartment)).one() is Compartment.CONFIDENTIAL
    seen = step_of(cast, booked, StepKey.MEANS, cast.guardian)
    assert seen.done
    assert not seen.url
    with cast.begin(cast.guardian, writes=False) as work:
        assert "means.access" not in patients.facts_of(work, cast.adolescent.record)
    with pytest.raises(Refused), cast.begin(cast.guardian) as work:
        check_in.save(work, booked.id, StepKey.MEANS, {"access": "no"})


def test_an_old_contact_is_asked_for_again(cast: Cast, booked: Booked) -> None:
    with cast.begin(cast.patient) as work:
        check_in.save(work, booked.id, StepKey.CONTACT, ANSWERS["contact"])
    assert step_of(cast, booked, StepKey.CONTACT).done
    cast.practice.clock.move(181 * DAY)  # type: ignore[attr-defined]
    assert not step_of(cast, booked, StepKey.CONTACT).done
    with cast.begin(cast.patient, writes=False) as work:
        contact = patients.emergency_contact(work, cast.patient.record)
        assert contact is not None
        assert contact.name == "Sky Example"


def test_where_one_is_is_asked_again_on_the_day(cast: Cast, booked: Booked) -> None:
    with cast.begin(cast.patient) as work:
        check_in.save(work, booked.id, StepKey.WHERE, WHERE)
    assert step_of(cast, booked, StepKey.WHERE).done
    booked.go_to_start()
    asked = step_of(cast, booked, StepKey.WHERE)
    assert not asked.done
    assert asked.note


def test_nothing_more_is_answered_after_the_end(cast: Cast, booked: Booked) -> None:
    booked.begin()
    booked.end()
    with pytest.raises(Refused), cast.begin(cast.patient) as work:
        check_in.save(work, booked.id, StepKey.WHERE, WHERE)
    assert booked.row().state is VisitState.ENDED
