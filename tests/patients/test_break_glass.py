"""Breaking the glass: refused without a reason, seen by everybody who has to see it, and over by itself (A17, A18)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select
from support.cast import Cast, Client, Member

from telepsych.accounts.models import RoleGrant
from telepsych.app import identify
from telepsych.audit.models import AuditRow
from telepsych.core.actor import Compartment, Relation, Role
from telepsych.core.clock import HOUR, MINUTE
from telepsych.core.errors import Conflict, Invalid, NotFound, Refused, StepUpNeeded, TooMany
from telepsych.core.work import Practice
from telepsych.notifications.models import OutboxRow
from telepsych.oversight.models import GlassReview
from telepsych.patients import break_glass
from telepsych.patients import service as patients
from telepsych.patients.glass_content import glass_rules
from telepsych.patients.models import BreakGlass, Proxy
from telepsych.web.models import SignInSession

ClientFor = Callable[[Member], Client]
BORN = date(1985, 11, 2)
REASON = "An emergency department called: what does he take?"
FORM = {"name": "Rowan Sample", "birth_date": "1985-11-02", "ground": "urgent_care", "reason": REASON}


def breaks(cast: Cast, who: Member, *, fresh: bool = True, **more: object) -> UUID:
    """Somebody finds and opens the record of the second patient."""
    asked: dict[str, object] = {"name": "rowan  SAMPLE", "birth_date": BORN, "ground": "danger", "reason": REASON}
    with cast.begin(who) as work:
        break_glass.find(work, **{key: (asked | more)[key] for key in ("name", "birth_date")})  # type: ignore[arg-type]
    with cast.begin(who, fresh=fresh) as work:
        return break_glass.break_glass(work, **asked | more).id  # type: ignore[arg-type]


def count(cast: Cast, model: type) -> int:
    with cast.system(writes=False) as work:
        work.asked = True
        return work.session.scalar(select(func.count()).select_from(model)) or 0


@pytest.mark.parametrize("wrong", [{"reason": ""}, {"reason": " a b  c "}, {"ground": ""}, {"ground": "curiosity"}])
def test_without_a_reason_nothing_opens(cast: Cast, wrong: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        breaks(cast, cast.stranger, **wrong)
    assert set(refused.value.fields) == set(wrong)
    assert count(cast, BreakGlass) == count(cast, GlassReview) == count(cast, OutboxRow) == 0
    assert cast.stranger.actor().ties == ()


def test_without_a_fresh_factor_nothing_opens(cast: Cast) -> None:
    with pytest.raises(StepUpNeeded):
        breaks(cast, cast.stranger, fresh=False)
    assert count(cast, BreakGlass) == 0


def test_with_a_reason_it_opens_and_everybody_who_has_to_know_does(cast: Cast) -> None:
    """A18: notice, hint, review item with a due date, and an audit row, in the unit that opened the record."""
    with pytest.raises(NotFound), cast.begin(cast.stranger, writes=False) as work:
        patients.open_patient(work, cast.other_patient.record)
    with cast.begin(cast.stranger) as work:
        break_glass.find(work, name="Rowan Sample", birth_date=BORN)
    with cast.begin(cast.stranger, fresh=True) as work:
        asked = {"name": "Rowan Sample", "birth_date": BORN, "ground": "danger", "reason": REASON}
        glass_id = break_glass.break_glass(work, **asked).id  # type: ignore[arg-type]
        hints = {(news.people, news.name) for news in work.news}
    assert ((cast.compliance.person_id,), "queue:news") in hints
    with cast.begin(cast.stranger, writes=False) as work:
        assert patients.open_patient(work, cast.other_patient.record).name == "Rowan Sample"
    with cast.system(writes=False) as work:
        work.asked = True
        review = work.session.scalars(select(GlassReview)).one()
        assert (review.glass_id, review.person_id) == (glass_id, cast.stranger.person_id)
        assert work.now < review.due_at < work.now + 4 * 24 * HOUR
        assert [row.person_id for row in work.session.scalars(select(OutboxRow))] == [cast.compliance.person_id]
        rows = {row.action: row for row in work.session.scalars(select(AuditRow))}
    assert rows["glass.opened"].relation == rows["patient.read"].relation == Relation.BREAK_GLASS
    assert rows["glass.opened"].purpose == "safety"


def test_it_is_over_after_its_time_over_http_and_for_sockets(cast: Cast, client_for: ClientFor) -> None:
    client, path = client_for(cast.stranger), f"/patients/{cast.other_patient.record}"
    breaks(cast, cast.stranger)
    page = client.get(path)
    assert page.status_code == 200
    assert "Emergency access to Rowan Sample" in page.text
    assert "End now" in page.text
    assert "Emergency access to Rowan Sample" in client.get("/inbox").text, "every page shows it"
    cast.practice.clock.move(glass_rules().minutes * MINUTE - 1)  # type: ignore[attr-defined]
    assert ties_of_socket(cast) == [cast.other_patient.record]
    cast.practice.clock.move(1)  # type: ignore[attr-defined]
    assert ties_of_socket(cast) == []
    with pytest.raises(NotFound), cast.begin(cast.stranger, writes=False) as work:
        patients.open_patient(work, cast.other_patient.record)
    again = client_for(cast.stranger)
    assert again.get(path).status_code == 404
    assert "Emergency access to Rowan Sample" not in again.get("/patients").text


def ties_of_socket(cast: Cast) -> list[UUID]:
    """The records open to a socket of the stranger, as each of its events asks."""
    row = SignInSession(person_id=cast.stranger.person_id, factor_at=None)
    with cast.system(writes=False) as work:
        work.asked = True
        return [tie.patient_id for tie in identify(work, row).ties]


def test_it_can_be_ended_at_once_by_them_and_by_compliance_only(cast: Cast, client_for: ClientFor) -> None:
    glass_id = breaks(cast, cast.stranger)
    assert breaks(cast, cast.stranger) == glass_id, "asked again it is the same box"
    for other in (cast.clinician, cast.manager):
        with pytest.raises(Refused), cast.begin(other) as work:
            break_glass.end(work, glass_id)
    client = client_for(cast.stranger)
    for _ in range(2):
        assert client.post(f"/break-glass/{glass_id}/end").status_code == 303
    assert client.get(f"/patients/{cast.other_patient.record}").status_code == 404
    other_id = breaks(cast, cast.stranger)
    with cast.begin(cast.compliance) as work:
        break_glass.end(work, other_id)
    assert cast.stranger.actor().ties == ()


def test_what_it_opens_depends_on_role_and_on_asking_for_it(cast: Cast) -> None:
    everything = frozenset(Compartment)
    for role, acknowledged, opens in (
        (Role.CLINICIAN, False, {Compartment.GENERAL}),
        (Role.CLINICIAN, True, everything),
        (Role.STAFF, True, {Compartment.GENERAL}),
        (Role.MANAGER, True, {Compartment.GENERAL}),
    ):
        with cast.system() as work:
            grant = work.session.scalars(select(RoleGrant).where(RoleGrant.person_id == cast.stranger.person_id)).one()
            work.asked = work.audited = True
            grant.role = role
        glass_id = breaks(cast, cast.stranger, acknowledged=acknowledged)
        (tie,) = cast.stranger.actor().ties
        assert tie.compartments == frozenset(opens), role
        with cast.begin(cast.stranger) as work:
            break_glass.end(work, glass_id)


def test_it_lets_nobody_speak_for_the_patient(cast: Cast) -> None:
    breaks(cast, cast.stranger, acknowledged=True)
    with cast.begin(cast.stranger, writes=False) as work, pytest.raises(NotFound):
        patients.my_patient(work, cast.other_patient.record)
    with pytest.raises(Refused), cast.begin(cast.stranger) as work:
        patients.withdraw_consent(work, cast.other_patient.record)


def test_nobody_their_own_record_nor_one_they_were_barred_from(cast: Cast) -> None:
    """A parent whose access was suspended and who works here does not come back by an emergency."""
    with cast.system() as work:
        work.asked = work.audited = True
        for person in (cast.guardian.person_id, cast.other_patient.person_id):
            work.add(RoleGrant(person_id=person, role=Role.STAFF, valid_from=work.now))
        work.session.scalars(select(Proxy)).one().suspended_at = work.now
    wren = {"name": "Wren Example", "birth_date": date(2011, 6, 1)}
    for who, asked in ((cast.guardian, wren), (cast.other_patient, {"birth_date": BORN})):
        with pytest.raises(Refused):
            breaks(cast, who, **asked)
    assert count(cast, BreakGlass) == 0
    for who in (cast.compliance, cast.patient):
        with pytest.raises(Refused):
            breaks(cast, who)
    with pytest.raises(Conflict):
        breaks(cast, cast.clinician)  # their own patient


def test_searching_is_exact_bounded_and_noted(cast: Cast, client_for: ClientFor) -> None:
    client = client_for(cast.stranger)
    for wrong in ({"name": "Rowan"}, {"name": "Rowan Sampel"}, {"birth_date": "1985-11-03"}):
        page = client.post("/break-glass", FORM | wrong)
        assert page.status_code == 200
        assert "Nobody here has exactly this name" in page.text
        assert "Why do you need this record" not in page.text
    assert "Why do you need this record" in client.post("/break-glass", FORM).text
    for _ in range(glass_rules().searches_an_hour - 4):
        client.post("/break-glass", FORM)
    assert client.post("/break-glass", FORM).status_code == TooMany.status
    with cast.system(writes=False) as work:
        work.asked = True
        noted = select(func.count()).where(AuditRow.action == break_glass.SEARCHED)
        assert work.session.scalar(noted) == glass_rules().searches_an_hour
    assert client_for(cast.patient).post("/break-glass", FORM).status_code == Refused.status


def test_the_form_keeps_what_was_typed_and_asks_for_a_factor(
    cast: Cast, client_for: ClientFor, app: Flask, practice: Practice
) -> None:
    client = client_for(cast.stranger)
    blind = [client.post("/break-glass/open", FORM | one) for one in ({}, {"name": "Rowan Nobody"})]
    assert [page.status_code for page in blind] == [422, 422]
    assert len({page.text.count("look for this person first") for page in blind}) == 1, "it tells nobody who is here"
    assert "Why do you need this record" in client.post("/break-glass", FORM).text
    short = client.post("/break-glass/open", FORM | {"reason": "because"})
    assert short.status_code == 422
    assert "because" in short.text
    with practice.begin(replace(cast.stranger.actor(), label="system:test", id=None), public="test") as work:
        work.audited = True
        for row in work.session.scalars(select(SignInSession)):
            row.factor_at = work.now - HOUR
    stale = client.post("/break-glass/open", FORM)
    assert stale.status_code in (403, 200)
    assert REASON.replace("'", "&#39;") in stale.text, "nothing typed is lost"
    assert count(cast, BreakGlass) == 0
