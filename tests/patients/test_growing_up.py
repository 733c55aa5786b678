"""Growing up, on the practice's local date: who opens what at which age, and what is said before and on the day."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import select
from support.cast import Cast, Client, Member

from telepsych.accounts import service as accounts
from telepsych.audit.models import AuditRow
from telepsych.core.actor import Compartment, Role, command
from telepsych.core.clock import DAY, HOUR, MINUTE, local_date, to_micros
from telepsych.notifications.models import OutboxRow
from telepsych.patients import consent_content, relations, ties
from telepsych.patients import service as patients
from telepsych.patients.jobs import grow_up
from telepsych.patients.models import Authority, Proxy
from telepsych.triage.models import WorkItem

ClientFor = Callable[[Member], Client]
NEW_YORK = ZoneInfo("America/New_York")
G, C = Compartment.GENERAL, Compartment.CONFIDENTIAL
ZONES = ("America/New_York", "America/Havana", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "UTC")


@given(
    born=st.dates(date(1940, 1, 1), date(2030, 12, 31)),
    years=st.sampled_from([13, 18]),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
)
@example(born=date(2008, 2, 29), years=18, zone=NEW_YORK)
@example(born=date(2004, 2, 29), years=18, zone=NEW_YORK)
@example(born=date(2000, 10, 15), years=18, zone=ZoneInfo("America/Sao_Paulo"))
def test_an_age_is_reached_at_the_first_moment_of_its_day_and_not_before(
    born: date, years: int, zone: ZoneInfo
) -> None:
    """Summer time that begins at midnight and birthdays on February 29 are days like others."""
    at = relations.reached_at(born, years, zone)
    assert relations.age_at(born, at, zone) == years
    assert relations.age_at(born, at - 1, zone) == years - 1
    assert local_date(at, zone) == relations.birthday(born, years)
    assert local_date(at - 1, zone) < relations.birthday(born, years)


def test_february_29_becomes_march_1() -> None:
    assert relations.birthday(date(2008, 2, 29), 18) == date(2026, 3, 1)
    assert relations.birthday(date(2008, 2, 29), 20) == date(2028, 2, 29)


def stand_at(cast: Cast, at: int) -> None:
    cast.practice.clock.at = at  # type: ignore[attr-defined]


def child(cast: Cast, born: date, **more: bool) -> tuple[UUID, Member]:
    """A patient without a sign-in and their parent, whose document asks for everything."""
    with cast.system() as work:
        row = patients.add_patient(work, name="Aspen Example", birth_date=born)
        patients.add_proxy(
            work,
            row.id,
            cast.guardian.person_id,
            Authority.PARENT,
            document="Seen",
            identity="ID seen",
            compartments=frozenset(Compartment),
        )
        return row.id, cast.guardian


def opened(cast: Cast, who: Member, record: UUID) -> set[Compartment]:
    actor = who.actor()
    return {one for one in Compartment if record in actor.own(one)}


@pytest.mark.parametrize("born", [date(2014, 3, 14), date(2016, 2, 29), date(2014, 11, 7)], ids=str)
def test_what_a_guardian_opens_at_every_age(cast: Cast, born: date) -> None:
    """Guardian × compartment × age, to the microsecond, with who is told: 13 on the days the clocks change, and 18."""
    record, guardian = child(cast, born)
    thirteen, eighteen = (relations.reached_at(born, years, NEW_YORK) for years in (13, 18))
    expected = [
        (thirteen - 1, {G, C}),
        (thirteen, {G}),
        (eighteen - 1, {G}),
        (eighteen, set()),
        (eighteen + 400 * DAY, set()),
    ]
    for at, opens in expected:
        stand_at(cast, at)
        assert opened(cast, guardian, record) == opens, at
        with cast.system(writes=False) as work:
            work.asked = True
            for compartment in Compartment:
                told = guardian.person_id in ties.people_of(work, record, compartment)
                assert told == (compartment in opens)


@pytest.mark.parametrize("authority", list(Authority))
@pytest.mark.parametrize("years", [0, 12, 13, 17, 18, 80])
def test_an_authority_opens_what_the_law_book_says_and_never_what_is_set_apart(
    authority: Authority, years: int
) -> None:
    ground = relations.grounds()[authority]
    parental = authority in (Authority.PARENT, Authority.SOLE_CUSTODY, Authority.PROBATE_GUARDIAN, Authority.DCF)
    assert Compartment.SENSITIVE not in ground.opens_at(years)
    assert ground.holds_at(years) == (years < 18 if parental else years >= (13 if ground.named_by_patient else 18))
    assert (C in ground.opens_at(years)) == ((parental and years < 13) or (authority == "conservator" and years >= 18))
    assert bool(ground.parts_at(years)) == (ground.named_by_patient and years >= 13)


def test_a_page_that_is_open_at_midnight_is_closed_after_it(cast: Cast, client_for: ClientFor) -> None:
    """The session goes on; the record does not."""
    eighteen = relations.reached_at(date(2011, 6, 1), 18, NEW_YORK)
    assert eighteen == to_micros(datetime(2029, 6, 1, 4, 0, tzinfo=UTC))
    stand_at(cast, eighteen - MINUTE)
    client, path = client_for(cast.guardian), f"/?patient={cast.adolescent.record}"
    assert client.get(path).status_code == 200
    stand_at(cast, eighteen - 1)
    assert client.get(path).status_code == 200
    stand_at(cast, eighteen)
    assert client.get(path).status_code == 404
    assert client.get("/messages").status_code == 200
    assert "Wren" not in client.get("/messages").text


def test_a_child_signs_in_from_13_on(cast: Cast) -> None:
    """A sign-in that is there too early opens nothing, and none is given."""
    born = date(2014, 3, 8)
    with cast.system() as work:
        person = cast.stranger.person_id
        row = patients.add_patient(work, name="Aspen Example", birth_date=born, person_id=person)
        record = row.id
    assert not opened(cast, cast.stranger, record)
    stand_at(cast, relations.reached_at(born, 13, NEW_YORK))
    assert opened(cast, cast.stranger, record) == {G, C}


# What is said


def said(cast: Cast, record: UUID) -> list[tuple[str, str]]:
    """Entries of the job about a patient, and notices, in order."""
    with cast.system(writes=False) as work:
        work.asked = True
        mine = AuditRow.patient_id == record, AuditRow.label == "system:growing-up"
        rows = work.session.scalars(select(AuditRow).where(*mine).order_by(AuditRow.at, AuditRow.id))
        return [(row.action, str(local_date(row.at, NEW_YORK))) for row in rows if not row.action.startswith("item.")]


def test_everybody_concerned_is_told_60_30_and_7_days_before_and_on_the_day(cast: Cast) -> None:
    record, eighteen = cast.adolescent.record, date(2029, 6, 1)
    stand_at(cast, relations.reached_at(date(2011, 6, 1), 18, NEW_YORK) - 62 * DAY)
    for _hour in range(63 * 4):
        grow_up(cast.practice)
        cast.practice.clock.move(6 * HOUR)  # type: ignore[attr-defined]
    assert grow_up(cast.practice) == 0
    expected = [("growing-up.announced", str(eighteen - timedelta(days=days))) for days in (60, 30, 7)]
    days = [line for line in said(cast, record) if line[0].startswith("growing")]
    assert days == [*expected, ("growing-up.reached", str(eighteen))]
    assert ("proxy.ended-by-age", str(eighteen)) in said(cast, record)
    with cast.system(writes=False) as work:
        work.asked = True
        notices = work.session.execute(select(OutboxRow.person_id, OutboxRow.kind)).all()
        (proxy,) = work.session.scalars(select(Proxy))
        items = [row for row in work.session.scalars(select(WorkItem)) if row.about_kind == "age-18"]
    people = {cast.adolescent.person_id, cast.guardian.person_id}
    assert {(row.person_id, row.kind) for row in notices} >= {(one, "access-soon") for one in people}
    assert (cast.adolescent.person_id, "access-changed") in {(row.person_id, row.kind) for row in notices}
    assert proxy.valid_until == relations.reached_at(date(2011, 6, 1), 18, NEW_YORK)
    assert [(item.patient_id, item.kind) for item in items] == [(record, "relation")]


def test_after_a_pause_only_the_notice_that_still_fits_is_sent(cast: Cast) -> None:
    stand_at(cast, relations.reached_at(date(2011, 6, 1), 18, NEW_YORK) - 20 * DAY)
    for _again in range(2):
        grow_up(cast.practice)
    assert [line for line, _day in said(cast, cast.adolescent.record)].count("growing-up.announced") == 1


def test_who_came_here_as_an_adult_is_told_nothing(cast: Cast) -> None:
    cast.practice.clock.move(30 * DAY)  # type: ignore[attr-defined]
    grow_up(cast.practice)
    assert not said(cast, cast.patient.record)
    assert not said(cast, cast.other_patient.record)


def test_the_job_that_did_not_run_changes_nothing_about_who_opens_what(cast: Cast) -> None:
    stand_at(cast, relations.reached_at(date(2011, 6, 1), 18, NEW_YORK))
    assert not opened(cast, cast.guardian, cast.adolescent.record)
    grow_up(cast.practice)
    assert not opened(cast, cast.guardian, cast.adolescent.record)


def test_a_document_that_is_due_for_review_becomes_work_once(cast: Cast) -> None:
    days = relations.grounds()[Authority.PARENT].review_days
    assert days is not None
    cast.practice.clock.move(days * DAY)  # type: ignore[attr-defined]
    for _again in range(2):
        grow_up(cast.practice)
    with cast.system(writes=False) as work:
        work.asked = True
        found = [row for row in work.session.scalars(select(WorkItem)) if row.about_kind == "proxy"]
    assert len(found) == 1
    assert opened(cast, cast.guardian, cast.adolescent.record) == {G}


# Consents


def sign(cast: Cast, who: Member, record: UUID, capacity: str) -> None:
    with cast.begin(who) as work:
        text = consent_content.in_force("telehealth", local_date(work.now, NEW_YORK))
        years = patients.age(patients.open_patient(work, record), work.now, NEW_YORK)
        shown = consent_content.digest(text, years)
        patients.sign_consent(work, record, signer_name=who.name, capacity=capacity, answers={}, text_digest=shown)


def missing(cast: Cast, record: UUID) -> list[str]:
    with cast.practice.begin(command("test"), writes=False) as work:
        return patients.missing_signers(work, record)


def test_what_an_adolescent_signed_does_not_bind_the_adult(cast: Cast) -> None:
    record = cast.adolescent.record
    stand_at(cast, relations.reached_at(date(2011, 6, 1), 18, NEW_YORK) - DAY)
    sign(cast, cast.adolescent, record, "patient")
    sign(cast, cast.guardian, record, "guardian")
    assert missing(cast, record) == []
    cast.practice.clock.move(DAY)  # type: ignore[attr-defined]
    assert missing(cast, record) == ["patient"]
    sign(cast, cast.adolescent, record, "patient")
    assert missing(cast, record) == []


def test_a_conservator_may_go_on_after_18_and_signs_in_the_patients_place(cast: Cast) -> None:
    record = cast.adolescent.record
    stand_at(cast, relations.reached_at(date(2011, 6, 1), 18, NEW_YORK))
    with cast.begin(cast.staff, fresh=True) as work:
        who = cast.guardian.person_id
        patients.add_proxy(work, record, who, Authority.CONSERVATOR, document="Decree", identity="Known")
    assert opened(cast, cast.guardian, record) == {G}
    with cast.begin(cast.guardian, writes=False) as work:
        mine = patients.my_signer(work, record)
    assert mine is not None
    assert (mine[0].who, mine[1]) == ("patient", "conservator")
    sign(cast, cast.guardian, record, "conservator")
    assert missing(cast, record) == []


def test_a_role_is_no_relation(cast: Cast) -> None:
    """Somebody whom nobody tied to a patient opens nothing, whatever role they hold."""
    with cast.system() as work:
        person = accounts.add_person(work, name="Fir Example", roles={Role.GUARDIAN}, email="fir@example.org")
        who = Member(cast.practice, "Fir Example", person.id)
    assert who.actor().ties == ()
