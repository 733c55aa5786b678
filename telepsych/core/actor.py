"""Who acts, with the roles and relations in force at the moment of the act, and on whose behalf."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from telepsych.core.clock import MINUTE

FRESH_FOR = 5 * MINUTE
"""How long a factor counts as fresh once it was shown."""


class Role(StrEnum):
    """What a person does here. A person may hold several."""

    PATIENT = "patient"
    GUARDIAN = "guardian"
    CLINICIAN = "clinician"
    STAFF = "staff"
    MANAGER = "manager"
    COMPLIANCE = "compliance"
    GUEST = "guest"


WORKFORCE = frozenset({Role.CLINICIAN, Role.STAFF, Role.MANAGER, Role.COMPLIANCE})


class Compartment(StrEnum):
    """A part of a patient's record with its own data key and its own readers."""

    GENERAL = "general"
    CONFIDENTIAL = "confidential"
    SENSITIVE = "sensitive"


class Relation(StrEnum):
    """Why an actor may open a chart."""

    SELF = "self"
    PROXY = "proxy"
    SUPPORTER = "supporter"
    """Named by the patient: sees single parts, and no compartment."""
    TEAM = "team"
    BREAK_GLASS = "break-glass"


@dataclass(frozen=True, slots=True)
class Tie:
    """One personal relation in force between the actor and a patient, with the compartments it opens."""

    patient_id: UUID
    relation: Relation
    compartments: frozenset[Compartment]
    parts: frozenset[str] = frozenset()
    """What a supporter is shown."""
    signs_as: str = ""
    """In which capacity a proxy signs a consent; empty when they sign none."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A person (or the system itself) with everything policies may ask of them. Built by a door, never by a service."""

    id: UUID | None
    roles: frozenset[Role] = frozenset()
    ties: tuple[Tie, ...] = ()
    teams: frozenset[UUID] = frozenset()
    session_id: UUID | None = None
    on_behalf_of: UUID | None = None
    label: str = "person"
    """`person`, `system:<job>`, `command:<name>` or `public:<page>`; written into the audit row."""
    factor_at: int | None = None
    """When a factor was last shown, for acts that ask for a fresh one."""
    barred: frozenset[UUID] = frozenset()
    """Patients to whom the actor is or ever was personally related: no team opens their record to this actor."""

    @property
    def is_workforce(self) -> bool:
        return bool(self.roles & WORKFORCE)

    def is_fresh(self, now: int) -> bool:
        """Whether a factor was shown recently enough for acts that ask for one. An operator's access is the factor."""
        return self.is_system or (self.factor_at is not None and now < self.factor_at + FRESH_FOR)

    @property
    def is_system(self) -> bool:
        return self.id is None and self.label.startswith(("system:", "command:"))

    def has(self, *roles: Role) -> bool:
        """Whether the actor holds one of these roles."""
        return not self.roles.isdisjoint(roles)

    def own(self, compartment: Compartment = Compartment.GENERAL) -> frozenset[UUID]:
        """Patients whose compartment is open by a personal tie: oneself, as a proxy, or by breaking the glass.

        What a team opens is worked out in the database (`patients.policy.patients_of`): it may be thousands.
        """
        return frozenset(tie.patient_id for tie in self.ties if compartment in tie.compartments)

    @property
    def relatives(self) -> frozenset[UUID]:
        """The patients whom the actor knows in private life, themself included: never the actor's to care for."""
        private = (Relation.SELF, Relation.PROXY, Relation.SUPPORTER)
        return self.barred | {tie.patient_id for tie in self.ties if tie.relation in private}

    def relation_to(self, patient_id: UUID) -> Relation | None:
        """The strongest relation to a patient whose record is open to the actor, for the audit trail."""
        held = {tie.relation for tie in self.ties if tie.patient_id == patient_id}
        if self.teams and not held and patient_id not in self.relatives:
            held.add(Relation.TEAM)
        return next((relation for relation in Relation if relation in held), None)


def system(job: str) -> Actor:
    """The practice's own clockwork, by the name of the job."""
    return Actor(id=None, label=f"system:{job}")


def command(name: str) -> Actor:
    """An operator at the command line."""
    return Actor(id=None, label=f"command:{name}")


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer of a policy: yes, or no with a reason that is safe to show."""

    allowed: bool
    reason: str = field(default="")

    def __bool__(self) -> bool:
        return self.allowed
