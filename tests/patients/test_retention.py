"""Nothing is destroyed before its day or under a hold, two people decide, and what is destroyed stays so (K9)."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.cast import Cast, Client, Member

from telepsych.accounts import contact
from telepsych.accounts import service as accounts
from telepsych.accounts.models import Person, RoleGrant
from telepsych.audit.models import AuditRow
from telepsych.core.actor import Compartment, Role, command
from telepsych.core.clock import DAY, HOUR
from telepsych.core.database import open_engine
from telepsych.core.errors import Conflict, Invalid, NotFound, Refused, StepUpNeeded
from telepsych.core.ids import new_id
from telepsych.core.settings import Settings
from telepsych.core.work import Practice, Work
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.sealed import VAULT, registry
from telepsych.crypto.vault import Vault, open_vault
from telepsych.messaging import service as messaging
from telepsych.patients import growing_up, holds, ledger, retention, shredding
from telepsych.patients import service as patients
from telepsych.patients.models import Authority, Patient
from telepsych.server.shred_commands import shred

RULE = retention.retention()
DAYS = st.dates(date(1940, 1, 1), date(2035, 12, 31))
OPERATOR = command("keys-shred")
A_YEAR = 366 * DAY


def fresh(cast: Cast, who: Member) -> AbstractContextManager[Work]:
    """A unit of work of somebody who has just shown a factor."""
    return cast.practice.begin(replace(who.actor(), factor_at=cast.practice.clock.now()))


def leave(cast: Cast, who: Member, years_ago: int = 0) -> None:
    today = date(2026, 11, 24)
    with cast.begin(cast.staff) as work:
        retention.leave_care(work, who.record, last_treated=today.replace(year=today.year - years_ago))


def decided(cast: Cast, who: Member) -> UUID:
    """Proposed by the manager and signed by somebody else."""
    with fresh(cast, cast.manager) as work:
        proposal = shredding.propose(work, who.record).id
    with fresh(cast, second(cast)) as work:
        shredding.sign(work, proposal)
    return proposal


def second(cast: Cast) -> Member:
    """Another person who may sign: a compliance officer, made when needed."""
    with cast.system() as work:
        known = accounts.find_by_email(work, "second@example.org")
        row = known or accounts.add_person(
            work, name="Lee Second", roles={Role.COMPLIANCE}, email="second@example.org", phone="", title=""
        )
        work.asked = work.audited = True
    return Member(cast.practice, "Lee Second", row.id)


# How long


@given(last=DAYS, born=DAYS, died=st.none() | DAYS)
def test_the_latest_date_counts(last: date, born: date, died: date | None) -> None:
    until = retention.keep_until(RULE, last, born, died)
    assert until >= last + timedelta(days=365 * RULE.chart_years)
    if died:
        assert until >= died + timedelta(days=365 * RULE.after_death_years)
    was_minor = (last.year - born.year, last.month, last.day) < (18, born.month, born.day)
    if was_minor:
        assert until.year >= born.year + RULE.minor_until_age
    assert until <= max(last, born, died or last) + timedelta(days=366 * RULE.minor_until_age)


@pytest.mark.parametrize(
    ("last", "born", "died", "until"),
    [
        (date(2020, 5, 1), date(1980, 1, 1), None, date(2027, 5, 1)),
        (date(2020, 5, 1), date(2010, 1, 1), None, date(2035, 1, 1)),
        (date(2020, 5, 1), date(2002, 5, 1), None, date(2027, 5, 1)),
        (date(2020, 4, 30), date(2002, 5, 1), None, date(2027, 5, 1)),
        (date(2020, 5, 1), date(1980, 1, 1), date(2026, 6, 1), date(2029, 6, 1)),
        (date(2020, 2, 29), date(1980, 1, 1), None, date(2027, 3, 1)),
    ],
)
def test_examples(last: date, born: date, died: date | None, until: date) -> None:
    assert retention.keep_until(RULE, last, born, died) == until


# Holds and signatures


def test_a_hold_goes_before_every_date(cast: Cast) -> None:
    leave(cast, cast.patient, years_ago=9)
    with fresh(cast, cast.manager) as work:
        hold = holds.place(work, cast.patient.record, matter="Case 12", reason="A letter from counsel")
    with fresh(cast, cast.manager) as work, pytest.raises(Conflict):
        shredding.propose(work, cast.patient.record)
    with fresh(cast, cast.manager) as work:
        holds.release(work, hold.id, note="Settled")
        assert holds.open_holds(work) == []
    proposal = decided(cast, cast.patient)
    with fresh(cast, cast.manager) as work:
        holds.place(work, cast.patient.record, matter="Case 13", reason="Another letter")
    with pytest.raises(Conflict):
        shredding.shred(cast.practice, OPERATOR, proposal)
    with cast.begin(cast.clinician, writes=False) as work:
        assert ledger.facts_of(work, cast.patient.record) is not None


def test_nothing_goes_before_its_day_or_while_somebody_is_in_care(cast: Cast) -> None:
    for who, years in ((cast.patient, None), (cast.other_patient, 7)):
        if years is not None:
            leave(cast, who, years)
        with fresh(cast, cast.manager) as work, pytest.raises(Conflict):
            shredding.propose(work, who.record)
    cast.practice.clock.move(2 * DAY)  # type: ignore[attr-defined]
    with cast.begin(cast.manager) as work:
        assert [one.patient_id for one in retention.expired(work)] == [cast.other_patient.record]
    relative = replace(cast.manager.actor(), barred=frozenset({cast.other_patient.record}))
    with cast.practice.begin(relative) as work:
        assert retention.expired(work) == [], "nobody learns here that somebody they know was a patient"


def test_two_people_sign_with_a_fresh_factor_and_an_operator_does_it(cast: Cast) -> None:
    leave(cast, cast.patient, years_ago=9)
    with cast.begin(cast.manager) as work, pytest.raises(StepUpNeeded):
        shredding.propose(work, cast.patient.record)
    with fresh(cast, cast.manager) as work:
        proposal = shredding.propose(work, cast.patient.record).id
    with pytest.raises(NotFound):
        shredding.shred(cast.practice, OPERATOR, proposal)
    with fresh(cast, cast.manager) as work, pytest.raises(Refused):
        shredding.sign(work, proposal)
    for who in (cast.staff, cast.clinician, cast.patient):
        with fresh(cast, who) as work, pytest.raises(Refused):
            shredding.sign(work, proposal)
    with fresh(cast, second(cast)) as work:
        shredding.sign(work, proposal)
    with pytest.raises(Refused):
        shredding.shred(cast.practice, cast.manager.actor(), proposal)
    assert shredding.shred(cast.practice, OPERATOR, proposal).keys > 0


def test_a_hold_says_why(cast: Cast) -> None:
    with fresh(cast, cast.manager) as work, pytest.raises(Invalid) as problem:
        holds.place(work, cast.patient.record, matter=" ", reason="")
    assert set(problem.value.fields) == {"matter", "reason"}
    with fresh(cast, cast.staff) as work, pytest.raises(Refused):
        holds.place(work, cast.patient.record, matter="x", reason="y")


# Shredding


@pytest.fixture
def written(cast: Cast, client_for: Callable[[Member], Client]) -> Cast:
    """A record with something in every compartment."""
    client, conversation = client_for(cast.patient), new_id()
    assert client.put(f"/api/conversations/{conversation}", {"reason": "refill", "details": {}}).status_code == 201
    assert (
        client.put(f"/api/conversations/{conversation}/messages/{new_id()}", {"body": "Nine left"}).status_code == 201
    )
    with cast.begin(cast.staff) as work:
        messaging.add_note(work, conversation, "Called the pharmacy")
    with cast.begin(cast.clinician) as work:
        for compartment in Compartment:
            ledger.record_facts(work, cast.patient.record, {"weight_kg": 70}, source="chart", compartment=compartment)
    return cast


def opens(records: Engine, vault: Vault, who: Member) -> tuple[int, int]:
    """Of all rows about somebody: how many open, and how many do not."""
    with Session(records, info={VAULT: vault}) as session:
        return _opens(session, {who.record, who.person_id})


def _opens(session: Session, who: set[UUID]) -> tuple[int, int]:
    opened = closed = 0
    for model, names in registry():
        columns = [name for name in ("patient_id", "person_id") if name in model.__table__.columns]  # type: ignore[attr-defined]
        for row in session.scalars(select(model)):
            owners = {getattr(row, name) for name in columns} | {row.id}  # type: ignore[attr-defined]
            if not owners & who or row.sealing_scope.kind == "practice":
                continue
            try:
                [getattr(row, name) for name in names]
                opened += 1
            except CannotOpen:
                closed += 1
    return opened, closed


def test_what_was_shredded_opens_nowhere_any_more(written: Cast, tmp_path: Path) -> None:
    cast, practice = written, written.practice
    aged = aged_copy(practice, tmp_path)
    leave(cast, cast.patient, years_ago=9)
    before, closed = opens(practice.records, practice.vault, cast.patient)
    assert before > 5
    assert closed == 0
    assert shredding.shred(practice, OPERATOR, decided(cast, cast.patient)).keys >= 3
    elsewhere = open_vault(practice.settings)
    for records, vault in ((practice.records, practice.vault), (practice.records, elsewhere), (aged, elsewhere)):
        opened, closed = opens(records, vault, cast.patient)
        assert opened == 0
        assert closed >= before - 2, "the rows are still there"
    with cast.begin(cast.clinician, writes=False) as work:
        with pytest.raises(NotFound):
            patients.open_patient(work, cast.patient.record)
        assert patients.open_patient(work, cast.other_patient.record).name


def test_whoever_was_tied_to_a_shredded_record_goes_on_here(cast: Cast, client_for: Callable[[Member], Client]) -> None:
    """Of somebody who acted for them, or was that patient and is here as somebody else too, nothing else is touched."""
    with fresh(cast, cast.staff) as work:
        who, ground = cast.guardian.person_id, Authority.CONSERVATOR
        patients.add_proxy(work, cast.patient.record, who, ground, document="Seen", identity="Seen")
    with cast.system() as work:
        work.asked = work.audited = True
        work.add(RoleGrant(person_id=cast.patient.person_id, role=Role.STAFF, valid_from=work.now))
    leave(cast, cast.patient, years_ago=9)
    shredding.shred(cast.practice, OPERATOR, decided(cast, cast.patient))
    assert client_for(cast.patient).get("/inbox").status_code == 200
    assert client_for(cast.guardian).get("/messages").status_code == 200
    assert [tie.patient_id for tie in cast.guardian.actor().ties] == [cast.adolescent.record]
    with fresh(cast, cast.guardian) as work:
        contact.change_phone(work, cast.guardian.person_id, "(203) 555-0177")
    cast.practice.clock.move(2 * A_YEAR)  # type: ignore[attr-defined]
    growing_up.grow_up(cast.practice)


def aged_copy(practice: Practice, folder: Path) -> Engine:
    """The records as they were, where they are a file; else as they are."""
    if practice.records.dialect.name != "sqlite":
        return practice.records
    place = folder / "aged" / "records.sqlite"
    place.parent.mkdir()
    with sqlite3.connect(str(practice.records.url.database)) as live, sqlite3.connect(place) as copy:
        live.backup(copy)
    return open_engine(f"sqlite:///{place}")


def test_a_run_that_was_stopped_goes_on_and_leaves_the_evidence(written: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    cast, practice = written, written.practice
    leave(cast, cast.patient, years_ago=9)
    proposal = decided(cast, cast.patient)
    calls = []

    def dies(vault: object, scope: object) -> tuple[UUID, ...]:
        calls.append(scope)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return destroy(vault, scope)  # type: ignore[arg-type]

    destroy = shredding.data_keys.destroy
    monkeypatch.setattr(shredding.data_keys, "destroy", dies)
    with pytest.raises(KeyboardInterrupt):
        shredding.shred(practice, OPERATOR, proposal)
    monkeypatch.undo()
    with fresh(cast, cast.manager) as work, pytest.raises(Conflict):
        shredding.withdraw(work, proposal)
    practice.clock.move(HOUR)  # type: ignore[attr-defined]
    shredding.shred(practice, OPERATOR, proposal)
    with cast.system(writes=False) as work:
        work.asked = True
        acts = work.session.scalars(select(AuditRow.action).where(AuditRow.action.like("destruction.%"))).all()
        patient = work.session.get_one(Patient, cast.patient.record)
        person = work.session.get_one(Person, cast.patient.person_id)
    assert acts.count("destruction.done") == 1
    assert acts.count("destruction.begun") == 2
    assert patient.destroyed_at is not None
    assert (person.email_index, person.left_at is not None) == (None, True)
    with pytest.raises(NotFound):
        shredding.shred(practice, OPERATOR, proposal)


def test_the_command_names_what_is_signed_and_destroys_it_once(written: Cast) -> None:
    cast, practice = written, written.practice
    leave(cast, cast.patient, years_ago=9)
    proposal = decided(cast, cast.patient)

    def run(*words: str, says: str | None = None) -> Result:
        return CliRunner().invoke(shred, [*words], obj=lambda _settings: nullcontext(practice), input=says)

    with patch.object(Settings, "load", return_value=practice.settings):
        assert json.loads(run("--json").output) == {"signed": [str(proposal)]}
        assert run(str(proposal), says="n\n").exit_code == 1
        assert json.loads(run(str(proposal), "--yes", "--json").output)["keys"] >= 3
        assert run().output == "No record is signed away.\n"


def test_the_page_leads_from_proposal_to_signature(cast: Cast, client_for: Callable[[Member], Client]) -> None:
    leave(cast, cast.patient, years_ago=9)
    manager, officer = client_for(cast.manager), client_for(second(cast))
    page = manager.get("/oversight/old-records").get_data(as_text=True)
    assert "Juniper Example" in page
    assert "Rowan" not in page
    assert manager.post("/oversight/old-records", {"patient": str(cast.patient.record)}).status_code == 303
    again = manager.post("/oversight/old-records", {"patient": str(cast.patient.record)})
    assert (again.status_code, "proposed already" in again.get_data(as_text=True)) == (409, True)
    with cast.begin(cast.manager, writes=False) as work:
        proposal = shredding.pending(work)[0].id
    assert "Take the proposal back" in officer.get("/oversight/old-records").get_data(as_text=True)
    assert manager.post(f"/oversight/old-records/{proposal}/sign").status_code == 403
    assert officer.post(f"/oversight/old-records/{proposal}/sign").status_code == 303
    assert f"telepsych keys shred {proposal}" in manager.get("/oversight/old-records").get_data(as_text=True)
    assert manager.post(f"/oversight/old-records/{proposal}/withdraw").status_code == 303
    assert client_for(cast.staff).get("/oversight/old-records").status_code == 403
