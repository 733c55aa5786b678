"""A supporter's page: what each patient shares with them, and nothing besides."""

from dataclasses import dataclass
from uuid import UUID

from telepsych.core.actor import Relation
from telepsych.core.errors import NotFound
from telepsych.core.work import Work
from telepsych.medications import service as medications
from telepsych.patients import service as patients
from telepsych.patients.relations import Part
from telepsych.scheduling import service as scheduling
from telepsych.scheduling.service import Shared


@dataclass(frozen=True, slots=True)
class Supported:
    """One patient whom the reader supports. None where a part is not shared."""

    name: str
    visits: list[Shared] | None
    medicines: list[tuple[str, str]] | None


def build(work: Work) -> list[Supported]:
    """Everybody whom the actor supports, by name. Raises `NotFound` for who supports nobody."""
    parts: dict[UUID, frozenset[str]] = {}
    for tie in work.actor.ties:
        if tie.relation is Relation.SUPPORTER:
            parts[tie.patient_id] = parts.get(tie.patient_id, frozenset()) | tie.parts
    if not parts:
        work.asked = True
        raise NotFound
    found = [_supported(work, patient_id, shared) for patient_id, shared in parts.items()]
    return sorted(found, key=lambda one: one.name)


def _supported(work: Work, patient_id: UUID, shared: frozenset[str]) -> Supported:
    return Supported(
        name=patients.names_of(work, [patient_id])[0],
        visits=scheduling.shared_visits(work, patient_id) if Part.VISITS in shared else None,
        medicines=medications.shared_list(work, patient_id) if Part.MEDICINES in shared else None,
    )
