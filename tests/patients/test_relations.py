"""Those who act for a patient, their teams and supporters: who may change what, and what that opens and closes."""

from collections.abc import Callable
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import select
from support.cast import Cast, Client, Member

from telepsych.accounts import contact, emails
from telepsych.accounts import service as accounts
from telepsych.accounts.models import Person, RoleGrant
from telepsych.audit.models import AuditRow
from telepsych.core.actor import Compartment, Role
from telepsych.core.clock import DAY
from telepsych.core.content import parse
from telepsych.core.errors import Conflict, Invalid, Misconfigured, NotFound, Refused, StepUpNeeded, TelepsychError
from telepsych.core.work import Work
from telepsych.patients import care_teams, intake, policy, proxies, relations, supporters, ties
from telepsych.patients import service as patients
from telepsych.patients.models import Authority, CareTeam, Patient, Proxy, SupporterRequest, SupporterState
from telepsych.patients.relations import Ground, Part
from telepsych.triage.models import WorkItem

ClientFor = Callable[[Member], Client]
G = Compartment.GENERAL


def proxy_of(cast: Cast) -> UUID:
    with cast.system(writes=False) as work:
        work.asked = True
        return work.session.scalars(select(Proxy.id).where(Proxy.person_id == cast.guardian.person_id)).one()


def opens(cast: Cast, who: Member, record: UUID, compartment: Compartment = G) -> bool:
    actor = who.actor()
    with cast.system(writes=False) as work:
        work.asked = True
        return record in work.session.scalars(policy.patient_ids_of(actor, work.now, compartment)).all()


def newcomer(work: Work, name: str, *roles: Role, phone: str = "") -> Person:
    email = f"{name.split()[0].lower()}@example.org"
    return accounts.add_person(work, name=name, roles=set(roles), email=email, phone=phone)


# The law book


def test_every_authority_has_its_words_document_and_source() -> None:
    for ground in relations.grounds().values():
        assert ground.label
        assert ground.words
        assert ground.document
        assert ground.source


@pytest.mark.parametrize(
    "wrong",
    [
        {"reaches": []},
        {"reaches": [{"opens": ["sensitive"]}]},
        {"reaches": [{"oldest": 17, "opens": ["general"]}, {"youngest": 10, "opens": ["general"]}]},
        {"reaches": [{"opens": ["general"], "parts": ["visits"]}]},
        {"id": "friend"},
        {"document": None},
    ],
    ids=str,
)
def test_a_wrong_record_is_refused_with_its_name(wrong: dict[str, object]) -> None:
    good = relations.grounds()[Authority.PARENT].model_dump()
    with pytest.raises(Misconfigured, match=r"parent\.toml"):
        parse(Ground, good | wrong, "config/relations/authorities/parent.toml")


# A proxy's life


def test_nothing_opens_before_the_identity_is_checked(cast: Cast) -> None:
    with cast.begin(cast.staff, fresh=True) as work:
        person = newcomer(work, "Fir Example", Role.GUARDIAN)
        row = patients.add_proxy(work, cast.adolescent.record, person.id, Authority.PARENT, document="Certificate")
        proxy_id, fir = row.id, Member(cast.practice, "Fir Example", person.id)
    assert not opens(cast, fir, cast.adolescent.record)
    with cast.begin(cast.staff, fresh=True) as work:
        kept = proxies.check_identity(work, proxy_id, "Photo ID")
        assert (kept.identity_by, kept.identity_at) == (cast.staff.person_id, work.now)
        assert (kept.seen_by, kept.seen_at) == (cast.staff.person_id, work.now)
    assert opens(cast, fir, cast.adolescent.record)


CHANGES: dict[str, Callable[[Work, UUID], object]] = {
    "identity": lambda work, proxy: proxies.check_identity(work, proxy, "ID"),
    "suspend": proxies.suspend_proxy,
    "resume": proxies.resume_proxy,
    "end": proxies.end_proxy,
    "renew": lambda work, proxy: proxies.renew_proxy(work, proxy, document="x", compartments={G}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_asks_for_a_fresh_factor_and_the_desk(cast: Cast, change: str) -> None:
    proxy_id = proxy_of(cast)
    with pytest.raises(StepUpNeeded), cast.begin(cast.staff) as work:
        CHANGES[change](work, proxy_id)
    for who in (cast.guardian, cast.adolescent, cast.clinician, cast.stranger):
        with pytest.raises((Refused, NotFound)), cast.begin(who, fresh=True) as work:
            CHANGES[change](work, proxy_id)
    assert opens(cast, cast.guardian, cast.adolescent.record)


def test_suspended_at_once_resumed_and_ended_for_good(cast: Cast, client_for: ClientFor) -> None:
    record, proxy_id, client = cast.adolescent.record, proxy_of(cast), client_for(cast.guardian)
    path = f"/?patient={record}"
    assert client.get(path).status_code == 200
    with cast.begin(cast.staff, fresh=True) as work:
        proxies.suspend_proxy(work, proxy_id, "Endangerment")
    assert client.get(path).status_code == 404
    assert "Endangerment" not in client.get("/").text
    with cast.begin(cast.staff, fresh=True) as work:
        proxies.resume_proxy(work, proxy_id)
    assert client.get(path).status_code == 200
    with cast.begin(cast.staff, fresh=True) as work:
        proxies.end_proxy(work, proxy_id)
    assert client.get(path).status_code == 404
    with pytest.raises(NotFound), cast.begin(cast.staff, fresh=True) as work:
        proxies.resume_proxy(work, proxy_id)


def test_nobody_of_the_desk_lets_themself_in(cast: Cast) -> None:
    """A parent who works here does not look at their own document, nor make sure of themself."""
    record, me = cast.adolescent.record, cast.staff.person_id
    with pytest.raises(Conflict, match="Somebody else"), cast.begin(cast.staff, fresh=True) as work:
        proxies.add_proxy(work, record, me, Authority.PARENT, document="Certificate", identity="Myself")
    assert cast.staff.actor().ties == ()


def test_an_authority_that_may_not_go_on_for_ever_gets_an_end(cast: Cast) -> None:
    longest = relations.grounds()[Authority.DCF].longest_days
    assert longest is not None
    with cast.begin(cast.staff, fresh=True) as work:
        worker = newcomer(work, "Fir Example", Role.GUARDIAN).id
        row = patients.add_proxy(
            work, cast.adolescent.record, worker, Authority.DCF, document="Order", identity="Badge"
        )
        assert row.valid_until == work.now + longest * DAY
        with pytest.raises(Invalid):
            proxies.renew_proxy(
                work, row.id, document="x", compartments={G}, valid_until=work.now + (longest + 1) * DAY
            )


def test_what_a_guardian_does_is_written_down_as_done_for_the_patient(cast: Cast) -> None:
    record = cast.adolescent.record
    with cast.begin(cast.guardian) as work:
        patients.set_emergency_contact(work, record, name="Sky", relationship="aunt", phone="(203) 555-0145")
    with cast.system(writes=False) as work:
        work.asked = True
        done = AuditRow.action == "emergency-contact.set"
        row = work.session.scalars(select(AuditRow).where(done)).one()
    assert (row.actor_id, row.on_behalf_of, row.relation) == (cast.guardian.person_id, record, "proxy")


# Nobody cares here for somebody they know in private life


@pytest.mark.parametrize("what", ["holds", "suspended", "ended", "awaited"])
def test_a_parent_who_works_in_the_team_never_comes_in_through_it(cast: Cast, client_for: ClientFor, what: str) -> None:
    """As a parent they see what a parent sees while that holds; as a nurse nothing, whatever became of it."""
    record, nurse = cast.adolescent.record, cast.staff
    with cast.begin(cast.manager, fresh=True) as work:
        identity = "" if what == "awaited" else "Known"
        row = patients.add_proxy(
            work, record, nurse.person_id, Authority.PARENT, document="Certificate", identity=identity
        )
        proxy_id = row.id
    if what in ("suspended", "ended"):
        with cast.begin(cast.manager, fresh=True) as work:
            (proxies.suspend_proxy if what == "suspended" else proxies.end_proxy)(work, proxy_id)
    assert opens(cast, nurse, record) == (what == "holds")
    assert not opens(cast, nurse, record, Compartment.CONFIDENTIAL)
    assert opens(cast, nurse, cast.patient.record)
    client = client_for(nurse)
    for path in ("", "/proxies", "/teams", "/book", "/proxies/new"):
        assert client.get(f"/patients/{record}{path}").status_code in (403, 404), path
    assert cast.adolescent.name not in client.get("/patients").text
    assert client.post(f"/patients/{record}/proxies/{proxy_id}/resumption").status_code in (403, 404)
    with cast.system(writes=False) as work:
        work.asked = True
        assert nurse.person_id not in ties.care_team(work, record)
        assert nurse.person_id in ties.care_team(work, cast.patient.record)


def test_a_clinician_opens_their_own_record_as_a_patient_and_not_as_a_clinician(
    cast: Cast, client_for: ClientFor
) -> None:
    with cast.system() as work:
        row = work.session.get_one(Patient, cast.patient.record)
        row.person_id = cast.clinician.person_id
        work.add(RoleGrant(person_id=cast.clinician.person_id, role=Role.PATIENT, valid_from=work.now))
        work.require(policy.can_coordinate(work.actor))
        work.audited = True
    assert opens(cast, cast.clinician, cast.patient.record)
    assert not opens(cast, cast.clinician, cast.patient.record, Compartment.SENSITIVE)
    client = client_for(cast.clinician)
    for path in ("", "/facts", "/book", "/medicines"):
        assert client.get(f"/patients/{cast.patient.record}{path}").status_code in (403, 404), path


# No shared address, from either side and whenever one changes


def refused(cast: Cast, act: Callable[[Work], object], who: Member | None = None) -> None:
    with pytest.raises((Conflict, Invalid)), cast.begin(who or cast.staff, fresh=True) as work:
        act(work)


SHARED = "(203) 555-0199"


def test_a_guardian_with_the_adolescents_mailbox_or_telephone_is_refused(cast: Cast) -> None:
    record = cast.adolescent.record
    with cast.begin(cast.staff, fresh=True) as work:
        contact.change_phone(work, cast.adolescent.person_id, SHARED)
        same = newcomer(work, "Fir Example", Role.GUARDIAN, phone="+1 203-555-0199").id
        row = accounts.add_person(work, name="Oak", roles={Role.GUARDIAN}, email="wren+mum@example.org")
        mailbox = row.id
    for person in (same, mailbox):
        refused(cast, lambda work, person=person: patients.add_proxy(work, record, person, Authority.PARENT))  # type: ignore[misc]


def test_a_change_on_either_side_is_refused_when_it_makes_an_address_shared(cast: Cast) -> None:
    record = cast.adolescent.record
    with cast.begin(cast.staff, fresh=True) as work:
        contact.change_phone(work, cast.guardian.person_id, SHARED)
    refused(cast, lambda work: contact.change_phone(work, cast.adolescent.person_id, "203 555 0199"))
    refused(cast, lambda work: patients.update_contact(work, record, phone=SHARED, preferred_name=""))
    refused(cast, lambda work: emails.change(work, "marlow+teen@example.org"), cast.adolescent)
    refused(cast, lambda work: emails.change(work, "WREN+mum@example.org"), cast.guardian)
    with cast.begin(cast.staff, fresh=True) as work:
        contact.change_phone(work, cast.adolescent.person_id, "(203) 555-0198")
    refused(cast, lambda work: contact.change_phone(work, cast.guardian.person_id, "(203) 555-0198"))
    with cast.begin(cast.guardian, fresh=True) as work:
        emails.change(work, "marlow.new@example.org")


def test_it_holds_for_suspended_guardians_and_not_for_ended_ones(cast: Cast) -> None:
    proxy_id = proxy_of(cast)
    with cast.begin(cast.staff, fresh=True) as work:
        contact.change_phone(work, cast.guardian.person_id, SHARED)
        proxies.suspend_proxy(work, proxy_id)
    refused(cast, lambda work: contact.change_phone(work, cast.adolescent.person_id, SHARED))
    with cast.begin(cast.staff, fresh=True) as work:
        proxies.end_proxy(work, proxy_id)
    with cast.begin(cast.staff, fresh=True) as work:
        contact.change_phone(work, cast.adolescent.person_id, SHARED)


def test_a_child_is_reached_through_their_parent_until_they_sign_in(cast: Cast) -> None:
    with cast.begin(cast.staff, fresh=True) as work:
        contact.change_phone(work, cast.guardian.person_id, SHARED)
        row = patients.add_patient(work, name="Aspen Example", birth_date=date(2016, 1, 1), phone=SHARED)
        work.session.flush()
        record = row.id
        patients.add_proxy(work, record, cast.guardian.person_id, Authority.PARENT, identity="Known")
        person = newcomer(work, "Aspen Example", Role.PATIENT).id
    refused(cast, lambda work: patients.link_person(work, record, person))
    cast.practice.clock.move(8 * 365 * DAY)  # type: ignore[attr-defined]
    refused(cast, lambda work: patients.link_person(work, record, person))
    with cast.begin(cast.staff, fresh=True) as work:
        patients.update_contact(work, record, phone="", preferred_name="")
        patients.link_person(work, record, person)


# Care teams


def test_a_patient_is_never_without_a_team(cast: Cast) -> None:
    record = cast.patient.record
    with cast.begin(cast.manager) as work:
        (now,) = care_teams.teams_of(work, record)
        (other, *_rest) = care_teams.teams_to_add(work, record)
        with pytest.raises(Conflict):
            care_teams.end_team(work, record, now.id)
        with pytest.raises(Conflict):
            care_teams.end_team(work, record, now.id, at=work.now + 30 * DAY)
        care_teams.add_team(work, record, other[0], valid_from=work.now + 10 * DAY, valid_until=work.now + 90 * DAY)
        with pytest.raises(Conflict):
            care_teams.end_team(work, record, now.id, at=work.now + 30 * DAY)
        last = care_teams.add_team(work, record, other[0], valid_from=work.now + 90 * DAY)
        with pytest.raises(Conflict):
            care_teams.end_team(work, record, now.id, at=work.now + 5 * DAY)
        care_teams.end_team(work, record, now.id, at=work.now + 20 * DAY)
        with pytest.raises(Conflict):
            care_teams.end_team(work, record, last.id)
        with pytest.raises(NotFound):
            care_teams.end_team(work, cast.other_patient.record, last.id)
    assert not opens(cast, cast.stranger, record)
    cast.practice.clock.move(15 * DAY)  # type: ignore[attr-defined]
    assert opens(cast, cast.stranger, record)
    assert opens(cast, cast.clinician, record)
    cast.practice.clock.move(5 * DAY)  # type: ignore[attr-defined]
    assert not opens(cast, cast.clinician, record)


def test_the_page_of_teams(cast: Cast, client_for: ClientFor) -> None:
    client, base = client_for(cast.manager), f"/patients/{cast.patient.record}/teams"
    assert "Elm Team" in client.get(base).text
    with cast.system(writes=False) as work:
        work.asked = True
        row, oak = work.session.scalars(select(CareTeam.id).where(CareTeam.patient_id == cast.patient.record)).one(), ""
        oak = next(str(one) for one, name in care_teams.teams_to_add(work, cast.patient.record) if name == "Oak Team")
    assert client.post(f"{base}/{row}/end").status_code == 409
    assert client.post(base, {"team": "none"}).status_code == 422
    assert client.post(base, {"team": oak, "until": "2020-01-01"}).status_code == 422
    assert client.post(base, {"team": oak}).status_code == 303
    assert client.post(base, {"team": oak}).status_code == 409
    assert client_for(cast.clinician).get(base).status_code == 403
    assert client.post(f"{base}/{row}/end").status_code == 303
    assert client.get(base).status_code == 404


# Supporters


def ask(cast: Cast, who: Member, *parts: str) -> UUID:
    with cast.begin(who) as work:
        wish = {"name": "Fir Example", "contact": "(203) 555-0155", "relationship": "a friend"}
        return supporters.ask(work, who.record, parts=parts, **wish).id


def let_in(cast: Cast, who: Member, request_id: UUID) -> tuple[Member, UUID]:
    with cast.begin(cast.staff, fresh=True) as work:
        row = intake.take_in_supporter(
            work, who.record, request_id, name="Fir Example", email="fir@example.org", phone="", identity="Photo ID"
        )
        return Member(cast.practice, "Fir Example", row.person_id), row.id


def test_a_supporter_sees_what_the_patient_named_and_opens_nothing(cast: Cast, client_for: ClientFor) -> None:
    record, wish = cast.patient.record, ask(cast, cast.patient, "visits")
    with pytest.raises(StepUpNeeded), cast.begin(cast.staff) as work:
        intake.take_in_supporter(work, record, wish, name="Fir", email="fir@example.org", phone="", identity="ID")
    with pytest.raises(Invalid), cast.begin(cast.staff, fresh=True) as work:
        intake.take_in_supporter(work, record, wish, name="Fir", email="fir@example.org", phone="", identity=" ")
    fir, proxy_id = let_in(cast, cast.patient, wish)
    actor = fir.actor()
    assert not any(record in actor.own(one) for one in Compartment)
    assert policy.can_see_part(actor, record, Part.VISITS)
    assert not policy.can_see_part(actor, record, Part.MEDICINES)
    page = client_for(fir).get("/supporting").text
    assert cast.patient.name in page
    assert "Medicines</h3>" not in page
    for path in (f"/?patient={record}", f"/medicines?patient={record}", f"/records/{record}/sight", "/sight"):
        assert client_for(fir).get(path).status_code in (302, 404), path
    assert client_for(fir).get("/messages").status_code == 200
    assert client_for(cast.patient).post(f"/records/{record}/supporters/{proxy_id}/end").status_code == 303
    assert client_for(fir).get("/supporting").status_code == 404
    assert fir.actor().ties == ()


def test_only_the_patient_asks_and_only_for_what_is_offered_at_their_age(cast: Cast) -> None:
    for who in (cast.guardian, cast.staff):
        with pytest.raises(TelepsychError), cast.begin(who) as work:
            supporters.ask(work, cast.adolescent.record, name="x", contact="x", relationship="", parts=["visits"])
    for parts in ((), ("medicines",), ("messages",)):
        with pytest.raises(Invalid):
            ask(cast, cast.adolescent, *parts)
    wish = ask(cast, cast.adolescent, "visits")
    with cast.system(writes=False) as work:
        work.asked = True
        (item,) = work.session.scalars(select(WorkItem).where(WorkItem.about_id == wish))
        assert item.compartment is Compartment.CONFIDENTIAL
    with pytest.raises(TelepsychError), cast.begin(cast.guardian, writes=False) as work:
        supporters.asked(work, cast.adolescent.record)


def test_a_wish_is_answered_once_and_taken_back_by_the_patient_only(cast: Cast, client_for: ClientFor) -> None:
    record, client = cast.patient.record, client_for(cast.patient)
    form = {"name": "Fir Example", "contact": "by phone", "parts": ["visits", "medicines"]}
    assert client.post(f"/records/{record}/supporters", form | {"parts": []}).status_code == 422
    assert client.post(f"/records/{record}/supporters", form).status_code == 303
    assert "Fir Example" in client.get(f"/records/{record}/supporters").text
    with cast.system(writes=False) as work:
        work.asked = True
        wish = work.session.scalars(select(SupporterRequest.id)).one()
    back = f"/records/{record}/supporters/requests/{wish}/withdrawal"
    assert client_for(cast.other_patient).post(back).status_code in (403, 404)
    assert client.post(back).status_code == 303
    with pytest.raises(Conflict):
        let_in(cast, cast.patient, wish)
    with cast.system(writes=False) as work:
        work.asked = True
        assert work.session.get_one(SupporterRequest, wish).state is SupporterState.TAKEN_BACK


def test_staff_let_a_supporter_in_on_their_page(cast: Cast, client_for: ClientFor) -> None:
    record, wish, client = cast.patient.record, ask(cast, cast.patient, "visits", "medicines"), client_for(cast.staff)
    base = f"/patients/{record}"
    assert "Asked for by the patient" in client.get(f"{base}/proxies").text
    form = {"name": "Fir Example", "email": "fir@example.org", "phone": "", "identity": ""}
    wrong = client.post(f"{base}/supporters/{wish}", form)
    assert wrong.status_code == 422
    assert "fir@example.org" in wrong.text
    right = form | {"identity": "Photo ID"}
    assert client.post(f"/patients/{cast.other_patient.record}/supporters/{wish}", right).status_code == 404
    assert client.post(f"{base}/supporters/{wish}", right).status_code == 303
    assert "Sees when visits are" in client.get(f"{base}/proxies").text
    again = ask(cast, cast.patient, "visits")
    assert client.post(f"{base}/supporters/{again}/decline").status_code == 303
