"""Those who act for a patient: on what ground, shown by which document, how far, and until when.

Nothing opens before somebody of the practice has made sure who the person is. Every change asks for a fresh factor,
may be suspended at once and is silent towards the proxy. What is open at a moment is decided in `policy`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select

from telepsych.accounts import service as accounts
from telepsych.accounts.service import Named
from telepsych.audit import service as audit
from telepsych.core.actor import Compartment
from telepsych.core.clock import DAY
from telepsych.core.errors import Conflict, Invalid, NotFound
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import addresses, policy, relations
from telepsych.patients.models import Authority, Patient, Proxy
from telepsych.patients.opening import age_now, open_patient
from telepsych.patients.relations import Ground, Part, reached_at


class ProxyState(StrEnum):
    """What a proxy is worth now."""

    AWAITED = "awaited"
    """Their identity has not been checked."""
    HOLDS = "holds"
    SUSPENDED = "suspended"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class ActsFor:
    """Somebody who acts or acted for a patient, as staff see it. `opens` and `parts` are what is open now."""

    id: UUID
    person: Named
    ground: Ground
    state: ProxyState
    opens: frozenset[Compartment]
    parts: frozenset[Part]
    document: str
    seen_at: int | None
    seen_by: str
    identity: str
    identity_at: int | None
    identity_by: str
    valid_from: int
    valid_until: int | None
    """When it ends at the latest: by its own date, or by the patient's age."""
    review_at: int | None
    note: str


def add_proxy(
    work: Work,
    patient_id: UUID,
    person_id: UUID,
    authority: Authority,
    *,
    document: str = "",
    identity: str = "",
    compartments: Collection[Compartment] = frozenset({Compartment.GENERAL}),
    parts: Collection[Part] = (),
    valid_until: int | None = None,
) -> Proxy:
    """Let a person act for a patient. Nothing opens until their identity is checked: now, if `identity` says how.

    Raises `Invalid` when the authority does not hold at the patient's age or has to end sooner, `Conflict` when both
    share an e-mail address or telephone: a young person's private space would be open then.
    """
    work.require(policy.can_register(work.actor, patient_id))
    work.require_fresh()
    patient, ground = open_patient(work, patient_id), relations.grounds()[authority]
    _check(work, patient, ground, person_id)
    proxy = Proxy(
        patient_id=patient_id,
        person_id=person_id,
        authority=authority.value,
        opens_general=Compartment.GENERAL in compartments,
        opens_confidential=Compartment.CONFIDENTIAL in compartments,
        parts=sorted(parts),
        valid_from=work.now,
        valid_until=_until(work, ground, valid_until),
        document=document.strip(),
        seen_at=work.now,
        seen_by=work.actor.id,
        identity_due=work.now,
    )
    work.add(proxy)
    work.session.flush()
    addresses.refuse_shared(work, patient_id)
    audit.record(work, "proxy.added", f"proxy:{proxy.id}", patient_id=patient_id, detail={"authority": authority})
    if identity.strip():
        check_identity(work, proxy.id, identity)
    return proxy


def check_identity(work: Work, proxy_id: UUID, how: str) -> Proxy:
    """Write down how it was made sure who somebody is. From now on they may act."""
    proxy = _to_change(work, proxy_id)
    if not how.strip():
        raise Invalid(fields={"identity": gettext("Please write down how you made sure who they are.")})
    proxy.identity, proxy.identity_at, proxy.identity_by = how.strip(), work.now, work.actor.id
    proxy.identity_due = None
    audit.record(work, "proxy.identity-checked", f"proxy:{proxy_id}", patient_id=proxy.patient_id)
    return proxy


def suspend_proxy(work: Work, proxy_id: UUID, why: str = "") -> Proxy:
    """Stop what a proxy may do, at once. They are not told."""
    proxy = _to_change(work, proxy_id)
    proxy.suspended_at, proxy.note = work.now, why.strip()
    audit.record(work, "proxy.suspended", f"proxy:{proxy_id}", patient_id=proxy.patient_id, detail={"why": why})
    return proxy


def resume_proxy(work: Work, proxy_id: UUID) -> Proxy:
    """Let a suspended proxy act again."""
    proxy = _to_change(work, proxy_id)
    if proxy.suspended_at is None:
        raise Conflict
    proxy.suspended_at, proxy.note = None, ""
    addresses.refuse_shared(work, proxy.patient_id)
    audit.record(work, "proxy.resumed", f"proxy:{proxy_id}", patient_id=proxy.patient_id)
    return proxy


def end_proxy(work: Work, proxy_id: UUID, why: str = "") -> Proxy:
    """End a proxy for good. Who comes back is added anew, with a document."""
    proxy = _to_change(work, proxy_id)
    end_now(work, proxy, why)
    return proxy


def end_now(work: Work, proxy: Proxy, why: str) -> None:
    """End a proxy whose end was decided by whoever may: staff, or a patient who takes a supporter back."""
    proxy.valid_until, proxy.note = work.now, why.strip()
    audit.record(work, "proxy.ended", f"proxy:{proxy.id}", patient_id=proxy.patient_id, detail={"why": why})


def renew_proxy(
    work: Work, proxy_id: UUID, *, document: str, compartments: Collection[Compartment], valid_until: int | None = None
) -> Proxy:
    """Look at the document again, and say anew how far it reaches and until when."""
    proxy = _to_change(work, proxy_id)
    ground = relations.grounds()[Authority(proxy.authority)]
    if not document.strip():
        raise Invalid(fields={"document": gettext("Please write down which document you saw.")})
    proxy.document, proxy.seen_at, proxy.seen_by = document.strip(), work.now, work.actor.id
    proxy.opens_general = Compartment.GENERAL in compartments
    proxy.opens_confidential = Compartment.CONFIDENTIAL in compartments
    proxy.valid_until, proxy.review_told_at = _until(work, ground, valid_until), None
    audit.record(work, "proxy.renewed", f"proxy:{proxy_id}", patient_id=proxy.patient_id)
    return proxy


def named(work: Work, patient_id: UUID, proxy_id: UUID) -> Proxy:
    """A proxy of just this patient, whose record is open to the actor. Raises `NotFound`."""
    mine = policy.patient_ids_of(work.actor, work.now)
    return work.one(
        select(Proxy).where(Proxy.id == proxy_id, Proxy.patient_id == patient_id, Proxy.patient_id.in_(mine))
    )


def acting_for(work: Work, patient_id: UUID) -> list[ActsFor]:
    """Everybody who acts or acted for a patient, those who may now first, the newest before others."""
    work.require(policy.can_register(work.actor, patient_id))
    patient = open_patient(work, patient_id)
    rows = work.session.scalars(select(Proxy).where(Proxy.patient_id == patient_id)).all()
    names = accounts.names_of(work, [who for row in rows for who in (row.person_id, row.seen_by, row.identity_by)])
    found = [_line(work, patient, row, names) for row in rows]
    order = list(ProxyState)
    return sorted(found, key=lambda one: (order.index(one.state), -one.valid_from))


def state_of(proxy: Proxy, years: int, now: int) -> ProxyState:
    """What a proxy is worth at a moment, for a patient of this age."""
    ground = relations.grounds()[Authority(proxy.authority)]
    if (proxy.valid_until is not None and proxy.valid_until <= now) or not ground.holds_at(years):
        return ProxyState.ENDED
    if proxy.suspended_at is not None:
        return ProxyState.SUSPENDED
    return ProxyState.AWAITED if proxy.identity_due is not None else ProxyState.HOLDS


def ends_at(work: Work, patient: Patient, proxy: Proxy) -> int | None:
    """When a proxy ends at the latest: by its own date, or because the patient grows out of the authority."""
    ground, born = relations.grounds()[Authority(proxy.authority)], date.fromisoformat(patient.birth_date)
    by_age = None
    if not any(reach.oldest is None for reach in ground.reaches):
        oldest = max(reach.oldest or 0 for reach in ground.reaches)
        by_age = reached_at(born, oldest + 1, work.practice.settings.tz)
    return min((at for at in (proxy.valid_until, by_age) if at is not None), default=None)


def _line(work: Work, patient: Patient, row: Proxy, names: dict[UUID, Named]) -> ActsFor:
    ground, years = relations.grounds()[Authority(row.authority)], age_now(work, patient)
    state = state_of(row, years, work.now)
    holds = state is ProxyState.HOLDS
    return ActsFor(
        id=row.id,
        person=names[row.person_id],
        ground=ground,
        state=state,
        opens=policy.reach_of(row, years) if holds else frozenset(),
        parts=policy.parts_of(row, years) if holds else frozenset(),
        document=row.document,
        seen_at=row.seen_at,
        seen_by=names[row.seen_by].name if row.seen_by in names else "",
        identity=row.identity,
        identity_at=row.identity_at,
        identity_by=names[row.identity_by].name if row.identity_by in names else "",
        valid_from=row.valid_from,
        valid_until=ends_at(work, patient, row),
        review_at=review_at(row, ground),
        note=row.note,
    )


def review_at(proxy: Proxy, ground: Ground) -> int | None:
    """By when staff have to look at the document again."""
    if ground.review_days is None:
        return None
    return (proxy.seen_at or proxy.valid_from) + ground.review_days * DAY


def _to_change(work: Work, proxy_id: UUID) -> Proxy:
    """A proxy that has not ended, for somebody who may change it and has just shown a factor."""
    proxy = work.one(select(Proxy).where(Proxy.id == proxy_id))
    work.require(policy.can_register(work.actor, proxy.patient_id))
    open_patient(work, proxy.patient_id)
    work.require_fresh()
    if proxy.valid_until is not None and proxy.valid_until <= work.now:
        raise NotFound
    return proxy


def _check(work: Work, patient: Patient, ground: Ground, person_id: UUID) -> None:
    if person_id == work.actor.id:
        raise Conflict(gettext("This is you. Somebody else has to look at the document and make sure of you."))
    if person_id == patient.person_id:
        raise Conflict(gettext("This is the patient's own address. Each needs one of their own."))
    if not ground.holds_at(age_now(work, patient)):
        sentence = gettext("“%(label)s” does not hold at this patient's age.") % {"label": ground.label}
        raise Invalid(fields={"authority": sentence})


def _until(work: Work, ground: Ground, wanted: int | None) -> int | None:
    """The end of an authority; one that may not go on for ever ends as late as it may when nothing is said."""
    if wanted is not None and wanted <= work.now:
        raise Invalid(fields={"until": gettext("Please give a day that is still to come.")})
    if ground.longest_days is None:
        return wanted
    latest = work.now + ground.longest_days * DAY
    if wanted is not None and wanted > latest:
        sentence = gettext("At most %(days)s days ahead; then the document is shown again.")
        raise Invalid(fields={"until": sentence % {"days": ground.longest_days}})
    return wanted or latest
