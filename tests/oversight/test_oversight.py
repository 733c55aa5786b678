"""The oversight room: nobody reviews themselves, the weekly list finds what it should and nothing else, a guardian's
view of who looked tells nothing of what is private."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import func, select
from support.cast import Cast, Client, Member

from telepsych.accounts import service as accounts
from telepsych.accounts.models import RoleGrant
from telepsych.audit import service as audit
from telepsych.audit.models import AuditRow
from telepsych.core.actor import Compartment, Role, system
from telepsych.core.calendar import USUAL_WEEK
from telepsych.core.clock import DAY, HOUR, MINUTE, to_micros
from telepsych.core.errors import Conflict, Invalid, NotFound, Refused
from telepsych.core.ids import new_id
from telepsych.messaging import service as messaging
from telepsych.messaging import threads
from telepsych.notifications.models import OutboxRow
from telepsych.oversight import calendar, due, jobs, looks, policy, reviews, rights, weekly
from telepsych.oversight.content import weekly_rules
from telepsych.oversight.models import GlassReview, LineKind, RequestState, WeekLine
from telepsych.patients import break_glass, holds
from telepsych.patients import service as patients

ClientFor = Callable[[Member], Client]
BORN = date(1985, 11, 2)
ZONE = ZoneInfo("America/New_York")
REASON = "An emergency department called about a lithium level."


def at(day: int, hour: int, minute: int = 0) -> int:
    """A moment where the practice is, by the day of November 2026; the 31st is December 1."""
    on = date(2026, 10, 31) + timedelta(days=day)
    return to_micros(datetime(on.year, on.month, on.day, hour, minute, tzinfo=ZONE))


def stand(cast: Cast, moment: int) -> None:
    cast.practice.clock.at = moment  # type: ignore[attr-defined]


def breaks(cast: Cast, who: Member) -> UUID:
    with cast.begin(who) as work:
        break_glass.find(work, name="Rowan Sample", birth_date=BORN)
    with cast.begin(who, fresh=True) as work:
        row = break_glass.break_glass(work, name="Rowan Sample", birth_date=BORN, ground="danger", reason=REASON)
        return row.id


def read(cast: Cast, who: Member, patient: Member) -> None:
    with cast.begin(who, writes=False) as work:
        patients.open_patient(work, patient.record)


def give(cast: Cast, person_id: UUID, role: Role) -> None:
    with cast.system() as work:
        work.asked = work.audited = True
        work.add(RoleGrant(person_id=person_id, role=role, valid_from=work.now))


# Reviews


def test_a_review_is_worked_through_by_somebody_else(cast: Cast, client_for: ClientFor) -> None:
    """Sign-off with its note, follow-up keeps it open, and the one who opened the record cannot sign."""
    breaks(cast, cast.stranger)
    cast.practice.clock.move(2 * MINUTE)  # type: ignore[attr-defined]
    read(cast, cast.stranger, cast.other_patient)
    give(cast, cast.stranger.person_id, Role.COMPLIANCE)
    with cast.begin(cast.compliance, writes=False) as work:
        (line,) = reviews.listed(work)
    with pytest.raises(Refused, match="their own access"), cast.begin(cast.stranger) as work:
        reviews.decide(work, line.id, "appropriate", "I know it was.")
    client, path = client_for(cast.compliance), f"/oversight/reviews/{line.id}"
    page = client.get(path).text
    assert REASON in page
    assert "patient.read" in page
    assert "Rowan Sample" in page
    assert client_for(cast.stranger).post(path, {"verdict": "appropriate", "note": "fine, surely"}).status_code == 403
    missing = client.post(path, {"verdict": "appropriate", "note": ""})
    assert (missing.status_code, "checked" in missing.text) == (422, True)
    assert client.post(path, {"verdict": "follow-up", "note": "Asked for the call log"}).status_code == 303
    with cast.begin(cast.compliance, writes=False) as work:
        assert reviews.listed(work)[0].follows_up
    assert client.post(path, {"verdict": "not-appropriate", "note": "No call was made"}).status_code == 303
    assert "No call was made" in client.get(path).text
    with pytest.raises(Conflict), cast.begin(cast.compliance) as work:
        reviews.decide(work, line.id, "appropriate", "changed my mind")
    with cast.begin(cast.compliance, writes=False) as work:
        assert reviews.listed(work) == []


def test_a_manager_sees_only_what_concerns_compliance_officers(cast: Cast, client_for: ClientFor) -> None:
    """Counts for the rest; a sole compliance officer's own access is not left without a second pair of eyes."""
    breaks(cast, cast.stranger)
    with cast.begin(cast.manager, writes=False) as work:
        assert reviews.listed(work) == []
        assert {one.waiting for one in due.counts(work)} == {0, 1}
    with cast.begin(cast.compliance, writes=False) as work:
        (line,) = reviews.listed(work)
    client = client_for(cast.manager)
    assert client.get(f"/oversight/reviews/{line.id}").status_code == 404
    assert REASON not in client.get("/oversight").text
    for path in ("/oversight/who-looked", "/oversight/calendar"):
        assert client.get(path).status_code == 403
    give(cast, cast.stranger.person_id, Role.COMPLIANCE)
    with cast.begin(cast.manager) as work:
        assert [one.id for one in reviews.listed(work)] == [line.id]
        reviews.decide(work, line.id, "appropriate", "The call is in the log.")


def test_overseers_open_no_record(cast: Cast, client_for: ClientFor) -> None:
    client = client_for(cast.compliance)
    for path in ("", "/requests", "/sight"):
        assert client.get(f"/patients/{cast.patient.record}{path}").status_code in (403, 404)
    with pytest.raises(NotFound), cast.begin(cast.compliance, writes=False) as work:
        patients.open_patient(work, cast.patient.record)
    for who in (cast.staff, cast.clinician, cast.patient, cast.guardian):
        assert client_for(who).get("/oversight").status_code == 403


# The weekly list


def week_with_planted_cases(cast: Cast) -> None:
    """Monday, November 30 to Sunday: ordinary work, and one case of each kind."""
    with cast.system() as work:
        accounts.set_hours(work, USUAL_WEEK)
        kin = accounts.add_person(work, name="Fern Sample", roles={Role.CLINICIAN}, title="nurse")
        work.session.flush()
        accounts.join_team(work, cast.team_id, kin.id)
        others = [
            patients.add_patient(
                work, name=f"Reed Number{number}", birth_date=date(1970, 1, 1), team_id=cast.team_id
            ).id
            for number in range(weekly_rules().bulk_patients_an_hour)
        ]
    stand(cast, at(31, 10))
    read(cast, cast.clinician, cast.patient)  # ordinary; "Dr. Sage Example" and "Juniper Example" share a last name
    read(cast, cast.staff, cast.other_patient)
    stand(cast, at(31, 17, 30))
    read(cast, cast.staff, cast.other_patient)  # shortly after closing
    stand(cast, at(32, 11))
    breaks(cast, cast.stranger)
    stand(cast, at(32, 14))
    read(cast, replace(cast.staff, name="Fern Sample", person_id=kin.id), cast.other_patient)
    stand(cast, at(33, 22))
    read(cast, cast.staff, cast.other_patient)
    for number, record in enumerate(others):
        stand(cast, at(34, 12) + number * MINUTE)
        read(cast, cast.manager, replace(cast.patient, patient_id=record))
    for number, record in enumerate(others):  # as many on another day, never so many within an hour
        stand(cast, at(32, 9) + number * 5 * MINUTE)
        read(cast, cast.clinician, replace(cast.patient, patient_id=record))
    stand(cast, at(33, 12))
    read(cast, cast.patient, cast.patient)  # the patient themself, and the clockwork
    with cast.practice.begin(system("test")) as work:
        patients.open_patient(work, cast.patient.record)


def found(cast: Cast) -> set[tuple[str, str, int]]:
    """What a week's list holds: why, who, how many records."""
    with cast.system(writes=False) as work:
        work.asked = True
        rows = list(work.session.scalars(select(WeekLine)))
        names = accounts.names_of(work, [row.person_id for row in rows])
        return {(row.kind, names[row.person_id].name, row.patients) for row in rows}


def test_the_weekly_list_finds_the_planted_cases_and_nothing_else(cast: Cast) -> None:
    stand(cast, at(30, 9))
    week_with_planted_cases(cast)
    stand(cast, at(36, 23, 59))
    assert jobs.make_weeks(cast.practice) == 1, "this week is not over, only the one in which the practice began"
    assert found(cast) == set()
    stand(cast, at(37, 0, 1))
    assert jobs.make_weeks(cast.practice) == 1
    assert found(cast) == {
        (LineKind.BREAK_GLASS, "Dr. Fern Stranger", 1),
        (LineKind.SAME_SURNAME, "Dr. Sage Example", 1),
        (LineKind.SAME_SURNAME, "Fern Sample", 1),
        (LineKind.AFTER_HOURS, "Ash Example", 1),
        (LineKind.BULK, "Hazel Example", weekly_rules().bulk_patients_an_hour),
    }
    assert jobs.make_weeks(cast.practice) == 0, "each week's list is made once"


def test_a_week_is_signed_off_line_by_line_and_as_a_whole(cast: Cast, client_for: ClientFor) -> None:
    stand(cast, at(30, 9))
    week_with_planted_cases(cast)
    stand(cast, at(37, 9, 30))
    jobs.make_weeks(cast.practice)
    client, path = client_for(cast.compliance), "/oversight/week/2026-11-30"
    page = client.get(path)
    assert "Record of Rowan Sample" in page.text
    lines = re.findall(r'name="lines" value="([\w-]+)"', page.text)
    assert len(lines) == 5
    assert client.post(path, {"week_note": ""}).status_code == Conflict.status
    assert client.post(f"{path}/lines", {"note": "kept?"}).status_code == Invalid.status
    assert client.post(f"{path}/lines", {"only": lines[0], "lines": lines, "note": "By chance"}).status_code == 303
    assert client.get(path).text.count("By chance") == 1
    give(cast, cast.staff.person_id, Role.COMPLIANCE)  # the one who worked late may not sign that line
    with pytest.raises(Refused), cast.begin(cast.staff) as work:
        weekly.sign_lines(work, "2026-11-30", [UUID(one) for one in lines[1:]], "All fine")
    assert client.post(f"{path}/lines", {"lines": lines[1:], "note": "On the rota"}).status_code == 303
    assert client.post(path, {"week_note": "A quiet week"}).status_code == 303
    assert "A quiet week" in client.get(path).text
    assert "Signed off" in client.get("/oversight/week").text


def test_whoever_may_not_see_a_line_of_a_week_is_told_kindly(cast: Cast, client_for: ClientFor) -> None:
    """A compliance officer who is a patient here: the line about them waits for a manager, and nothing is lost."""
    stand(cast, at(30, 9))
    week_with_planted_cases(cast)
    stand(cast, at(37, 9, 30))
    jobs.make_weeks(cast.practice)
    give(cast, cast.other_patient.person_id, Role.COMPLIANCE)
    client, path = client_for(cast.other_patient), "/oversight/week/2026-11-30"
    lines = re.findall(r'name="lines" value="([\w-]+)"', client.get(path).text)
    assert client.post(f"{path}/lines", {"lines": lines, "note": ""}).status_code == 303
    answer = client.post(path, {"week_note": "A quiet week"})
    assert answer.status_code == Conflict.status
    assert "A manager has something of this week to sign off first" in answer.text
    assert ">A quiet week</textarea>" in answer.text


def test_missing_weeks_show_and_lateness_is_told_once_a_day(cast: Cast, client_for: ClientFor) -> None:
    with cast.system() as work:
        accounts.set_hours(work, USUAL_WEEK)
    read(cast, cast.clinician, cast.patient)
    cast.practice.clock.move(21 * DAY)  # type: ignore[attr-defined]
    assert client_for(cast.compliance).get("/oversight/week").text.count("No list was made") == 3
    told = select(func.count()).select_from(OutboxRow)
    assert [jobs.remind(cast.practice) for _ in range(3)] == [True, False, False]
    with cast.system(writes=False) as work:
        work.asked = True
        assert work.session.scalar(told) == 1
        assert work.session.scalars(select(OutboxRow.kind)).one() == "work-item"
    cast.practice.clock.move(14 * HOUR)  # type: ignore[attr-defined]
    assert not jobs.remind(cast.practice), "midnight is no time for it"


# Requests about records


def test_requests_have_the_days_of_the_law_and_one_extension(cast: Cast, client_for: ClientFor) -> None:
    client, path = client_for(cast.patient), f"/records/{cast.patient.record}/requests"
    assert client.post(path, {"kind": "amendment", "words": ""}).status_code == 422
    for kind in ("access", "amendment", "accounting"):
        assert client.post(path, {"kind": kind, "words": "The dose is wrong"}).status_code == 303
    with cast.begin(cast.compliance, writes=False) as work:
        lines = {one.kind: one for one in rights.listed(work)}
        days = {kind: (one.due_at - at(24, 0)) // DAY for kind, one in lines.items()}
    assert days == {"access": 30, "amendment": 60, "accounting": 60}
    assert "164.524" in lines["access"].source
    boss, where = client_for(cast.compliance), f"/oversight/requests/{lines['access'].id}"
    assert boss.post(f"{where}/extension", {"reason": " "}).status_code == 422
    assert boss.post(f"{where}/extension", {"reason": "Paper archive"}).status_code == 303
    assert boss.post(f"{where}/extension", {"reason": "Again"}).status_code == Conflict.status
    assert "Paper archive" in client.get(path).text
    with cast.begin(cast.compliance, writes=False) as work:
        assert (rights.one(work, lines["access"].id).due_at - at(24, 0)) // DAY == 60
    assert boss.post(f"{where}/outcome", {"how": "done", "outcome": ""}).status_code == 422
    assert boss.post(f"{where}/outcome", {"how": "done", "outcome": "File handed over"}).status_code == 303
    assert "File handed over" in client.get(path).text
    with cast.begin(cast.patient) as work:
        rights.withdraw(work, lines["amendment"].id)
    with cast.begin(cast.compliance, writes=False) as work:
        assert {one.state for one in rights.listed(work, settled=True)} == {RequestState.DONE, RequestState.WITHDRAWN}


def test_what_a_young_person_asks_is_not_their_guardians_to_read(cast: Cast, client_for: ClientFor) -> None:
    path = f"/records/{cast.adolescent.record}/requests"
    assert client_for(cast.adolescent).post(path, {"kind": "access", "words": "Only for me"}).status_code == 303
    assert client_for(cast.guardian).post(path, {"kind": "access", "words": "For school"}).status_code == 303
    seen = client_for(cast.guardian).get(path).text
    assert "For school" in seen
    assert "Only for me" not in seen
    both = client_for(cast.adolescent).get(path).text
    assert "For school" in both
    assert "Only for me" in both
    staff = f"/patients/{cast.adolescent.record}/requests"
    assert client_for(cast.staff).post(staff, {"kind": "accounting", "words": "By telephone"}).status_code == 303
    assert client_for(cast.stranger).get(staff).status_code == 404
    assert client_for(cast.patient).get(path).status_code == 404


# Who looked


def test_a_patient_reads_who_looked_in_plain_words(cast: Cast, client_for: ClientFor) -> None:
    read(cast, cast.clinician, cast.other_patient)
    breaks(cast, cast.stranger)
    page = client_for(cast.other_patient).get(f"/records/{cast.other_patient.record}/looks")
    assert "Dr. Sage Example, psychiatrist" in page.text
    assert "Emergency access" in page.text
    assert "Ask about this" in page.text
    assert REASON not in page.text
    for other in (cast.patient, cast.guardian):
        assert client_for(other).get(f"/records/{cast.other_patient.record}/looks").status_code == 404
    assert client_for(cast.stranger).get(f"/records/{cast.other_patient.record}/looks").status_code == 403
    cast.practice.clock.move(40 * DAY)  # type: ignore[attr-defined]
    later = client_for(cast.other_patient)
    assert "Dr. Sage Example" not in later.get(f"/records/{cast.other_patient.record}/looks").text
    assert "Dr. Sage Example" in later.get(f"/records/{cast.other_patient.record}/looks?back=1").text


def test_compliance_finds_who_looked_and_the_search_is_noted(cast: Cast, client_for: ClientFor) -> None:
    read(cast, cast.clinician, cast.patient)
    client = client_for(cast.compliance)
    days = {"first_day": "2026-11-20", "last_day": "2026-11-24"}
    asked = {"name": "juniper example", "birth_date": "1992-03-14", "person": ""} | days
    assert "Dr. Sage Example" in client.post("/oversight/who-looked", asked).text
    person = {"name": "", "birth_date": "", "person": str(cast.clinician.person_id)} | days
    assert "Record of Juniper Example" in client.post("/oversight/who-looked", person).text
    assert "Nobody here has exactly" in client.post("/oversight/who-looked", asked | {"birth_date": "1992-03-15"}).text
    for wrong in ({"name": "", "person": ""}, {"last_day": "2026-11-01"}, {"first_day": "soon"}, {"birth_date": "x"}):
        assert client.post("/oversight/who-looked", asked | wrong).status_code == Invalid.status
    with cast.system(writes=False) as work:
        work.asked = True
        noted = select(func.count()).where(AuditRow.action == "oversight.searched")
        assert work.session.scalar(noted) >= 2


def private_acts(cast: Cast, act: str, number: int) -> None:
    """Something a guardian may learn nothing of."""
    adolescent, record = cast.adolescent, cast.adolescent.record
    if act == "letter":
        talk = new_id()
        with cast.begin(adolescent) as work:
            messaging.open_conversation(work, talk, record, "something_else", compartment=Compartment.CONFIDENTIAL)
        with cast.begin(adolescent) as work:
            messaging.send(work, talk, new_id(), f"Please don't tell anybody, {number}")
        with cast.practice.begin(cast.staff.actor(), writes=False, request_id=uuid4().hex[:16]) as work:
            patients.open_patient(work, record)
            threads.sync(work, talk, 0)
        with cast.begin(cast.clinician) as work:
            messaging.send(work, talk, new_id(), "Between us.")
    elif act == "own look":
        read(cast, adolescent, adolescent)
    elif act == "request":
        with cast.begin(adolescent) as work:
            rights.ask(work, record, "access", f"For me alone {number}")
        with cast.practice.begin(cast.compliance.actor(), writes=False, request_id=uuid4().hex[:16]) as work:
            rights.listed(work)
    elif act == "clockwork":
        with cast.practice.begin(system("test")) as work:
            patients.open_patient(work, record)
    else:
        with cast.practice.begin(cast.clinician.actor(), request_id=uuid4().hex[:16]) as work:
            patients.open_patient(work, record)
            audit.record(work, "facts.recorded", f"patient:{record}", patient_id=record)


def openly_read(cast: Cast) -> None:
    """The clinician opens the chart, for no reason that is private."""
    with cast.practice.begin(cast.clinician.actor(), writes=False, request_id=uuid4().hex[:16]) as work:
        patients.open_patient(work, cast.adolescent.record)


def guardians_page(cast: Cast) -> tuple[object, ...]:
    with cast.begin(cast.guardian, writes=False) as work:
        page = looks.of_record(work, cast.adolescent.record)
    return page.days, page.computers, page.earlier, page.later


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.lists(some.sampled_from(["letter", "own look", "request", "clockwork", "private facts"]), max_size=5))
def test_a_guardians_view_of_who_looked_does_not_depend_on_what_is_private(cast: Cast, acts: list[str]) -> None:
    """A16 for the audit view: whatever happens in confidence, the guardian's page is the same as without it."""
    openly_read(cast)
    before = guardians_page(cast)
    assert before[0] != []
    for number, act in enumerate(acts):
        cast.practice.clock.move(MINUTE)  # type: ignore[attr-defined]
        private_acts(cast, act, number)
    assert guardians_page(cast) == before


def test_a_guardian_sees_who_opened_the_record_openly(cast: Cast) -> None:
    """What the property above hides is not simply everything."""
    before = guardians_page(cast)
    openly_read(cast)
    with cast.begin(cast.guardian, writes=False) as work:
        ((_, (row,)),) = looks.of_record(work, cast.adolescent.record).days
    assert before[0] == []
    assert (row.who, row.why) == ("Dr. Sage Example", "Care team")


# Dated rules


def test_the_calendar_says_what_changes_and_what_nobody_confirmed() -> None:
    ahead = {(one.on, one.rule.key, one.begins) for one in calendar.changes(date(2026, 11, 27))}
    assert (date(2026, 12, 31), "rx.fed.tele_flex", False) in ahead
    assert (date(2027, 1, 1), "ai.ct.companion_rule", True) in ahead
    assert not any(on < date(2026, 11, 27) for on, _, _ in ahead)
    late = {one.key for one in calendar.overdue(date(2026, 12, 16))}
    assert {"rx.fed.tele_flex", "rx.fed.bup_tele_rule"} <= late
    assert "rx.fed.tele_flex" not in {one.key for one in calendar.overdue(date(2026, 12, 15))}
    known = {one.key: one for one in calendar.dated_rules()}
    assert not known["rights.amendment_days"].confirmed
    assert known["rights.access_days"].confirmed


def test_nobody_oversees_what_concerns_somebody_they_know(cast: Cast, client_for: ClientFor) -> None:
    """An officer who is a patient here, or a patient's parent, hands that on to a manager; a system signs nothing."""
    breaks(cast, cast.stranger)
    with cast.begin(cast.other_patient) as work:
        rights.ask(work, cast.other_patient.record, "access", "A copy")
    give(cast, cast.other_patient.person_id, Role.COMPLIANCE)
    with cast.begin(cast.compliance, writes=False) as work:
        (line,) = reviews.listed(work)
    with cast.begin(cast.other_patient, writes=False) as work:
        assert reviews.listed(work) == rights.listed(work) == []
    manager = client_for(cast.manager)
    (asked,) = re.findall(r"/oversight/requests/[\w-]+", manager.get("/oversight/requests").text)
    assert asked in manager.get("/oversight").text
    assert manager.post(f"{asked}/outcome", {"how": "done", "outcome": "Handed over"}).status_code == 303
    client = client_for(cast.other_patient)
    assert client.get(f"/oversight/reviews/{line.id}").status_code == 404
    asked = {"name": "", "birth_date": "", "person": str(cast.stranger.person_id)}
    days = {"first_day": "2026-11-20", "last_day": "2026-11-24"}
    assert "Rowan" not in client.post("/oversight/who-looked", asked | days).text.split("What was found")[1]
    with cast.begin(cast.manager) as work:
        reviews.decide(work, line.id, "appropriate", "The call is in the log.")
    row = GlassReview(person_id=uuid4(), patient_id=uuid4())
    assert not policy.can_sign_off(system("weekly-review"), row, passed_on=True)


# Legal holds


def test_holds_are_placed_and_released_by_name(cast: Cast, client_for: ClientFor) -> None:
    client = client_for(cast.compliance)
    asked = {"name": "Juniper Example", "birth_date": "1992-03-14", "matter": "Estate", "reason": "Letter of a court"}
    assert client.post("/oversight/holds", asked | {"name": "Nobody"}).status_code == Invalid.status
    with cast.system(writes=False) as work:
        work.asked = True
        searched = select(func.count()).where(AuditRow.action == "oversight.searched")
        assert work.session.scalar(searched) == 1, "whom somebody looked for is written down, found or not"
    assert client.post("/oversight/holds", asked | {"reason": ""}).status_code in (Invalid.status, 403)
    with cast.begin(cast.compliance, fresh=True) as work:
        hold = holds.place(work, cast.patient.record, matter="Estate", reason="Letter of a court")
    page = client.get("/oversight/holds").text
    assert "Juniper Example" in page
    assert "Letter of a court" in page
    with cast.begin(cast.compliance, fresh=True) as work:
        holds.release(work, hold.id, note="Settled")
    assert "Letter of a court" not in client.get("/oversight/holds").text
    assert client_for(cast.manager).get("/oversight/holds").status_code == 403
