"""Who may open a record, and what they may do with it.

A record opens by relation only: oneself, a proxy's scope, a team, or breaking the glass. Clinicians of a patient's team
open all compartments; staff and managers of it open `general` and `confidential`, because messages in confidence have
to be triaged, but not `sensitive`. The practice's own clockwork and its operators open everything.

Nobody cares here for somebody they know in private life: whoever is or ever was the patient, their proxy or their
supporter opens nothing through a team. So a parent whose access was suspended does not come back as a nurse.

A young person's own tie and a proxy's change with age, on the practice's local date (`relations`): what is open is
worked out from the birth date at every access, so no job has to have run.
"""

from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, or_, select

from telepsych.core.actor import Actor, Compartment, Decision, Relation, Role, Tie
from telepsych.core.words import gettext
from telepsych.patients import relations
from telepsych.patients.models import Authority, BreakGlass, CareTeam, Destruction, Patient, Proxy
from telepsych.patients.relations import Part


def patients_of(actor: Actor, now: int, compartment: Compartment = Compartment.GENERAL) -> Select[Patient]:
    """The patients whose compartment is open to the actor."""
    if actor.is_system:
        return select(Patient).where(Patient.destroyed_at.is_(None))
    return select(Patient).where(Patient.id.in_(patient_ids_of(actor, now, compartment)))


def patient_ids_of(actor: Actor, now: int, compartment: Compartment = Compartment.GENERAL) -> Select[UUID]:
    """The same as ids, to narrow other rooms' rows with `.in_`."""
    if actor.is_system:
        return select(Patient.id)
    opened: ColumnElement[bool] = Patient.id.in_(actor.own(compartment))
    if actor.teams and actor.has(*team_readers(compartment)):
        theirs = and_(Patient.id.in_(_cared_for(actor, now)), Patient.id.not_in(actor.relatives))
        opened = or_(opened, theirs)
    return select(Patient.id).where(opened, Patient.destroyed_at.is_(None))


def team_readers(compartment: Compartment) -> tuple[Role, ...]:
    """The roles of a patient's team that open a compartment."""
    return (Role.CLINICIAN,) if compartment is Compartment.SENSITIVE else (Role.CLINICIAN, Role.STAFF, Role.MANAGER)


def _cared_for(actor: Actor, now: int) -> Select[UUID]:
    return select(CareTeam.patient_id).where(
        CareTeam.team_id.in_(actor.teams),
        CareTeam.valid_from <= now,
        or_(CareTeam.valid_until.is_(None), CareTeam.valid_until > now),
    )


def proxies_in_force(now: int) -> Select[Proxy]:
    """Proxies that hold at a moment, as far as their own row says: how much they open is `reach_of`. Of a destroyed
    record there are none: nothing of it opens, not even how old the patient is."""
    gone = select(Patient.id).where(Patient.id == Proxy.patient_id, Patient.destroyed_at.is_not(None))
    return select(Proxy).where(
        ~gone.correlate(Proxy).exists(),
        Proxy.valid_from <= now,
        or_(Proxy.valid_until.is_(None), Proxy.valid_until > now),
        or_(Proxy.suspended_at.is_(None), Proxy.suspended_at > now),
        Proxy.identity_due.is_(None),
    )


def reach_of(proxy: Proxy, years: int) -> frozenset[Compartment]:
    """The compartments a proxy in force opens of the record of a patient of this age."""
    return proxy.compartments & relations.grounds()[Authority(proxy.authority)].opens_at(years)


def parts_of(proxy: Proxy, years: int) -> frozenset[Part]:
    """What a supporter in force is shown about a patient of this age."""
    return frozenset(map(Part, proxy.parts)) & relations.grounds()[Authority(proxy.authority)].parts_at(years)


def self_reach(years: int) -> frozenset[Compartment]:
    """What a patient of this age opens of their own record. A child's parent or guardian signs in instead."""
    young = years < relations.private_from()
    return frozenset() if young else frozenset({Compartment.GENERAL, Compartment.CONFIDENTIAL})


def tie_of(proxy: Proxy, years: int) -> Tie | None:
    """The tie that a proxy in force gives to a patient of this age; None when it opens nothing any more."""
    ground = relations.grounds()[Authority(proxy.authority)]
    opens, parts = reach_of(proxy, years), parts_of(proxy, years)
    if ground.named_by_patient:
        return Tie(proxy.patient_id, Relation.SUPPORTER, frozenset(), frozenset(parts)) if parts else None
    return Tie(proxy.patient_id, Relation.PROXY, opens, signs_as=ground.signs_as or "") if opens else None


def can_see_part(actor: Actor, patient_id: UUID, part: Part) -> Decision:
    """A supporter, for what the patient named; whoever opens the record sees it there."""
    mine = [tie for tie in actor.ties if tie.patient_id == patient_id and tie.relation is Relation.SUPPORTER]
    return Decision(any(part in tie.parts for tie in mine), gettext("The patient did not share this with you."))


def open_compartments(actor: Actor, patient_id: UUID) -> frozenset[Compartment]:
    """What the patient's own tie or a proxy's opens. Breaking the glass is for care: by it nobody speaks for them."""
    found: frozenset[Compartment] = frozenset()
    for tie in actor.ties:
        if tie.patient_id == patient_id and tie.relation is not Relation.BREAK_GLASS:
            found |= tie.compartments
    return found


def can_write_as_patient(actor: Actor, patient_id: UUID) -> Decision:
    """The patient, or somebody who may act for them."""
    allowed = actor.is_system or Compartment.GENERAL in open_compartments(actor, patient_id)
    return Decision(allowed, gettext("Only the patient, or somebody who may act for them, can do this."))


def is_oneself(actor: Actor, patient_id: UUID) -> bool:
    """Whether the actor is the patient."""
    return any(tie.patient_id == patient_id and tie.relation is Relation.SELF for tie in actor.ties)


def can_sign_as(actor: Actor, patient_id: UUID, capacity: str) -> Decision:
    """The patient signs as the patient, whoever acts for them as what their authority says: a young person can't sign
    for their guardian, and a parent not for a young person."""
    return Decision(
        actor.is_system or capacity in capacities_of(actor, patient_id), gettext("Please sign in your own name.")
    )


def capacities_of(actor: Actor, patient_id: UUID) -> frozenset[str]:
    """In which capacities the actor signs for a patient."""
    held = [tie for tie in actor.ties if tie.patient_id == patient_id]
    own = {"patient" for tie in held if tie.relation is Relation.SELF and tie.compartments}
    return frozenset(own | {tie.signs_as for tie in held if tie.relation is Relation.PROXY and tie.signs_as})


def can_care_for(actor: Actor, patient_id: UUID | None = None) -> Decision:
    """Clinicians; of a named patient only those who do not know them in private life."""
    if patient_id in actor.relatives:
        return _not_ones_own()
    return Decision(actor.is_system or actor.has(Role.CLINICIAN), gettext("Only a clinician can do this."))


def can_coordinate(actor: Actor, patient_id: UUID | None = None) -> Decision:
    """Everybody who works with patients' records here; on a named patient's only who does not know them in private."""
    if patient_id in actor.relatives:
        return _not_ones_own()
    allowed = actor.is_system or actor.has(Role.CLINICIAN, Role.STAFF, Role.MANAGER)
    return Decision(allowed, gettext("Only the care team can do this."))


def _not_ones_own() -> Decision:
    return Decision(False, gettext("You know this person in private life, so somebody else has to do this."))


def can_ask_for_supporter(actor: Actor, patient_id: UUID) -> Decision:
    """The patient, and nobody in their place."""
    opened = open_compartments(actor, patient_id) if is_oneself(actor, patient_id) else frozenset()
    return Decision(Compartment.GENERAL in opened, gettext("Only the patient names a supporter."))


def can_end_supporter(actor: Actor, proxy: Proxy) -> Decision:
    """The patient takes a supporter back, at once and without asking anybody."""
    named = relations.grounds()[Authority(proxy.authority)].named_by_patient
    return Decision(named and is_oneself(actor, proxy.patient_id), gettext("Only the patient can do this."))


def can_see_sight(actor: Actor, patient_id: UUID) -> Decision:
    """Who sees what is shown to the patient, whoever acts for them, and the care team."""
    personal = Compartment.GENERAL in open_compartments(actor, patient_id)
    return Decision(personal or bool(can_coordinate(actor, patient_id)), gettext("You can't see this."))


def can_record_facts(actor: Actor, patient_id: UUID) -> Decision:
    """The care team, the patient and whoever may act for them: each fact says who recorded it."""
    return Decision(
        bool(can_coordinate(actor)) or bool(can_write_as_patient(actor, patient_id)),
        gettext("You can't add to this record."),
    )


def can_register(actor: Actor, patient_id: UUID | None = None) -> Decision:
    """Staff and managers take patients in, and decide who acts for them; never for those they know in private life."""
    if patient_id in actor.relatives:
        return _not_ones_own()
    allowed = actor.is_system or actor.has(Role.STAFF, Role.MANAGER)
    return Decision(allowed, gettext("Only staff can add patients."))


def glass_in_force(person_id: UUID, now: int) -> Select[BreakGlass]:
    """The records that a person opened in an emergency and whose time is not over."""
    return select(BreakGlass).where(
        BreakGlass.person_id == person_id,
        BreakGlass.opened_at <= now,
        BreakGlass.ends_at > now,
        or_(BreakGlass.ended_at.is_(None), BreakGlass.ended_at > now),
    )


def can_break_glass(actor: Actor) -> Decision:
    """Those who care for patients here. A compliance officer sees who looked, never the record."""
    allowed = actor.id is not None and actor.has(Role.CLINICIAN, Role.STAFF, Role.MANAGER)
    return Decision(allowed, gettext("Only those who care for patients here can ask for emergency access."))


def can_open_in_emergency(actor: Actor, patient_id: UUID) -> Decision:
    """Nobody their own record, nor one of somebody they know in private life: what was closed to them stays closed."""
    allowed = patient_id not in actor.relatives
    return Decision(allowed, gettext("You can't open this record this way. Please ask the compliance officer."))


def glass_opens(actor: Actor, acknowledged: bool) -> frozenset[Compartment]:
    """What emergency access opens: `general`, and for a clinician who asked for it expressly everything."""
    whole = acknowledged and actor.has(Role.CLINICIAN)
    return frozenset(Compartment) if whole else frozenset({Compartment.GENERAL})


def can_end_glass(actor: Actor, row: BreakGlass) -> Decision:
    """Whoever opened the record, and compliance officers."""
    allowed = actor.is_system or row.person_id == actor.id or actor.has(Role.COMPLIANCE)
    return Decision(allowed, gettext("Only the person who opened the record can end this."))


def can_keep_or_destroy(actor: Actor, patient_id: UUID | None = None) -> Decision:
    """Compliance officers and managers hold records and decide about old ones; never of those they know in private."""
    if patient_id in actor.relatives:
        return _not_ones_own()
    allowed = actor.is_system or actor.has(Role.COMPLIANCE, Role.MANAGER)
    return Decision(allowed, gettext("Only the compliance officer and managers can do this."))


def can_sign_destruction(actor: Actor, destruction: Destruction) -> Decision:
    """Somebody else than who proposed it."""
    if actor.id == destruction.proposed_by:
        return Decision(False, gettext("Somebody else has to sign: two people decide that a record is destroyed."))
    return can_keep_or_destroy(actor, destruction.patient_id)
