"""Who opens which compartment: by role, by relation, and by when the relation holds."""

from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from support.cast import Cast, Member

from telepsych.core.actor import Actor, Compartment, Relation, Role, Tie
from telepsych.core.clock import DAY
from telepsych.core.errors import Conflict, Invalid, NotFound, Refused
from telepsych.core.ids import new_id
from telepsych.patients import policy
from telepsych.patients import service as patients
from telepsych.patients.models import Authority, CareTeam, Patient

G, C, S = Compartment


def opened(cast: Cast, actor: Actor, compartment: Compartment) -> set[UUID]:
    with cast.system(writes=False) as work:
        work.asked = True
        return set(work.session.scalars(policy.patient_ids_of(actor, work.now, compartment)))


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("patient", {G, C}),
        ("other_patient", set()),
        ("guardian", set()),
        ("clinician", {G, C, S}),
        ("staff", {G, C}),
        ("manager", {G, C}),
        ("stranger", set()),
    ],
)
def test_each_role_opens_just_its_compartments(cast: Cast, who: str, expected: set[Compartment]) -> None:
    member: Member = getattr(cast, who)
    assert {one for one in Compartment if cast.patient.record in opened(cast, member.actor(), one)} == expected


def test_the_guardian_opens_the_general_part_and_the_adolescent_both(cast: Cast) -> None:
    record = cast.adolescent.record
    assert {one for one in Compartment if record in opened(cast, cast.guardian.actor(), one)} == {G}
    assert {one for one in Compartment if record in opened(cast, cast.adolescent.actor(), one)} == {G, C}


ACTS = {
    "coordinate": policy.can_coordinate,
    "care": policy.can_care_for,
    "register": policy.can_register,
}


@pytest.mark.parametrize(
    ("role", "may"),
    [
        (Role.PATIENT, set()),
        (Role.GUARDIAN, set()),
        (Role.GUEST, set()),
        (Role.COMPLIANCE, set()),
        (Role.CLINICIAN, {"coordinate", "care"}),
        (Role.STAFF, {"coordinate", "register"}),
        (Role.MANAGER, {"coordinate", "register"}),
    ],
)
def test_each_role_may_do_just_its_acts(role: Role, may: set[str]) -> None:
    actor = Actor(id=new_id(), roles=frozenset({role}))
    assert {act for act, rule in ACTS.items() if rule(actor)} == may


def test_an_ended_or_suspended_proxy_opens_nothing(cast: Cast) -> None:
    record = cast.other_patient.record
    with cast.begin(cast.manager, fresh=True) as work:
        until, who = work.now + DAY, cast.guardian.person_id
        kept = patients.add_proxy(
            work, record, who, Authority.CONSERVATOR, document="Seen", identity="ID", valid_until=until
        )
        proxy_id = kept.id
    assert record in cast.guardian.actor().own()
    cast.practice.clock.move(DAY)  # type: ignore[attr-defined]
    assert record not in cast.guardian.actor().own()
    cast.practice.clock.move(-DAY)  # type: ignore[attr-defined]
    with cast.begin(cast.manager, fresh=True) as work:
        patients.suspend_proxy(work, proxy_id)
    assert record not in cast.guardian.actor().own()
    with cast.system(writes=False) as work:
        work.asked = True
        assert cast.guardian.person_id not in patients.people_of(work, record)


@pytest.mark.parametrize("who", ["patient", "guardian", "clinician", "stranger"])
def test_only_staff_of_the_practice_add_proxies(cast: Cast, who: str) -> None:
    with pytest.raises(Refused), cast.begin(getattr(cast, who)) as work:
        patients.add_proxy(work, cast.patient.record, cast.guardian.person_id, Authority.PARENT)


def test_nobody_is_their_own_guardian(cast: Cast) -> None:
    with pytest.raises(Conflict), cast.begin(cast.manager, fresh=True) as work:
        patients.add_proxy(work, cast.adolescent.record, cast.adolescent.person_id, Authority.PARENT)


def test_not_yours_and_not_there_look_alike(cast: Cast) -> None:
    for record in (cast.patient.record, new_id()):
        with pytest.raises(NotFound), cast.begin(cast.stranger, writes=False) as work:
            patients.open_patient(work, record)


def test_a_future_birth_date_is_refused(cast: Cast) -> None:
    from datetime import date

    with pytest.raises(Invalid), cast.begin(cast.staff) as work:
        patients.add_patient(work, name="Aspen Sample", birth_date=date(2030, 1, 1))


relations = st.lists(
    st.tuples(st.sampled_from(["patient", "other_patient", "adolescent"]), st.frozensets(st.sampled_from(Compartment))),
    max_size=5,
)
team_times = st.tuples(st.integers(-2, 2), st.one_of(st.none(), st.integers(-2, 2)))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ties=relations, roles=st.frozensets(st.sampled_from(Role)), in_team=st.booleans(), when=team_times)
def test_exactly_the_expected_records_open(
    cast: Cast,
    ties: list[tuple[str, frozenset[Compartment]]],
    roles: frozenset[Role],
    in_team: bool,
    when: tuple[int, int | None],
) -> None:
    """Whatever relations somebody holds, what opens is their ties and, by role, their team's patients in force, less
    those they know in private life."""
    held = tuple(Tie(getattr(cast, name).record, Relation.PROXY, opens) for name, opens in ties)
    actor = Actor(id=new_id(), roles=roles, ties=held, teams=frozenset({cast.team_id} if in_team else ()))
    with cast.system() as work:
        work.asked = work.audited = True
        start, end = work.now + when[0] * DAY, None if when[1] is None else work.now + when[1] * DAY
        work.session.execute(delete(CareTeam))
        for member in (cast.patient, cast.adolescent):
            row = CareTeam(patient_id=member.record, team_id=cast.team_id, valid_from=start, valid_until=end)
            work.add(row)
        work.session.flush()
        now = work.now
        found = {one: set(work.session.scalars(policy.patient_ids_of(actor, now, one))) for one in Compartment}
        rows = {one: {row.id for row in work.all(policy.patients_of(actor, now, one))} for one in Compartment}
        everybody = set(work.session.scalars(policy.patient_ids_of(work.actor, now)))
        work.session.rollback()
        work.session.add(CareTeam(patient_id=cast.patient.record, team_id=cast.team_id, valid_from=now))
    assert found == rows
    assert everybody == {cast.patient.record, cast.other_patient.record, cast.adolescent.record}
    in_force = start <= now and (end is None or end > now)
    for compartment in Compartment:
        expected = {tie.patient_id for tie in held if compartment in tie.compartments}
        by_role = Role.CLINICIAN in roles or (compartment is not S and bool(roles & {Role.STAFF, Role.MANAGER}))
        if in_team and in_force and by_role:
            expected |= {cast.patient.record, cast.adolescent.record} - {tie.patient_id for tie in held}
        assert found[compartment] == expected


def test_the_system_opens_everything(cast: Cast) -> None:
    with cast.system(writes=False) as work:
        assert len(work.all(policy.patients_of(work.actor, work.now, S))) == 3
        assert all(isinstance(row, Patient) for row in work.all(policy.patients_of(work.actor, work.now)))
