"""The facts ledger: what is known about a patient, as of when, and from where. Facts are added, never changed.

Forms, check-ins, medicines and observations write here; triage and appropriateness read only here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select

from telepsych.audit import service as audit
from telepsych.core.actor import Compartment
from telepsych.core.work import Work
from telepsych.patients import policy
from telepsych.patients.models import Fact, Patient


@dataclass(frozen=True, slots=True)
class FactValue:
    """One fact as it is read. `as_of` in microseconds UTC."""

    code: str
    value: Any
    as_of: int
    source: str
    recorded_by: UUID | None
    id: UUID
    compartment: Compartment


def record_facts(
    work: Work,
    patient_id: UUID,
    values: Mapping[str, Any],
    *,
    source: str,
    as_of: int | None = None,
    compartment: Compartment = Compartment.GENERAL,
    about: UUID | None = None,
) -> None:
    """Add facts by code, with JSON values. Wakes `facts.recorded` in the same unit.

    Raises `NotFound` unless the compartment they go into is open to the actor.
    """
    work.require(policy.can_record_facts(work.actor, patient_id))
    work.one(policy.patients_of(work.actor, work.now, compartment).where(Patient.id == patient_id))
    if not values:
        return
    for code, value in values.items():
        work.add(
            Fact(
                patient_id=patient_id,
                compartment=compartment,
                code_index=_index(work, code),
                as_of=work.now if as_of is None else as_of,
                recorded_at=work.now,
                recorded_by=work.actor.id,
                about=about,
                code=code,
                value=value,
                source=source,
            )
        )
    work.session.flush()
    detail = {"codes": sorted(values), "source": source}
    audit.record(work, "facts.recorded", f"patient:{patient_id}", patient_id=patient_id, detail=detail)
    work.wake("facts.recorded", patient_id=patient_id, codes=sorted(values), values=dict(values), about=about)


def facts_of(work: Work, patient_id: UUID, *, for_rules: bool = False) -> dict[str, FactValue]:
    """The newest fact of every code, of the compartments open to the actor.

    `for_rules` takes all compartments whoever acts: a safety rule must not depend on who is looking. What it returns
    then is for rules, never for a page.
    """
    mine = _open_to(work, patient_id, for_rules).subquery()
    newest_first = (mine.c.as_of.desc(), mine.c.recorded_at.desc(), mine.c.id.desc())
    place = func.row_number().over(partition_by=mine.c.code_index, order_by=newest_first)
    ranked = select(mine.c.id, place.label("place")).subquery()
    newest = select(Fact).where(Fact.id.in_(select(ranked.c.id).where(ranked.c.place == 1)))
    found = [_value(row) for row in work.all(newest)]
    if found:
        audit.look(work, "facts.read", patient_id, purpose="safety" if for_rules else "treatment")
    return {one.code: one for one in found}


def fact_history(work: Work, patient_id: UUID, code: str) -> list[FactValue]:
    """Every fact of one code, the newest first."""
    mine = _open_to(work, patient_id).where(Fact.code_index == _index(work, code))
    rows = work.all(mine.order_by(Fact.as_of.desc(), Fact.recorded_at.desc(), Fact.id.desc()))
    if rows:
        audit.look(work, "facts.read", patient_id)
    return [_value(row) for row in rows]


def _open_to(work: Work, patient_id: UUID, for_rules: bool = False) -> Select[Fact]:
    facts = select(Fact).where(Fact.patient_id == patient_id)
    if for_rules or work.actor.is_system:
        return facts
    opened = [
        and_(Fact.compartment == one, Fact.patient_id.in_(policy.patient_ids_of(work.actor, work.now, one)))
        for one in Compartment
    ]
    return facts.where(or_(*opened))


def _value(row: Fact) -> FactValue:
    return FactValue(row.code, row.value, row.as_of, row.source, row.recorded_by, row.id, row.compartment)


def _index(work: Work, code: str) -> bytes:
    index: bytes = work.practice.vault.mac("fact-code", code.encode())
    return index
