"""Who may open a questionnaire, who may answer it, who may give one.

An adolescent's own answers lie in the confidential compartment: whoever opens the general one only (a guardian) is told
that a questionnaire was answered, and nothing that was said in it.
"""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, or_, select

from telepsych.core.actor import Actor, Compartment, Decision, Relation, Role
from telepsych.core.words import gettext
from telepsych.patients import policy as patients
from telepsych.questionnaires.models import Response

OWN = (Relation.SELF, Relation.PROXY)


def responses_of(actor: Actor, now: int) -> Select[Response]:
    """The questionnaires whose compartment is open to the actor."""
    return select(Response).where(_open_to(actor, now, Compartment))


def responses_known_to(actor: Actor, now: int) -> Select[Response]:
    """The questionnaires of every patient the actor may know about, for their clear columns only: what there is, and
    whether it is done."""
    return select(Response).where(Response.patient_id.in_(patients.patient_ids_of(actor, now)))


def can_answer(actor: Actor, response: Response) -> Decision:
    """The patient, whoever represents them where the answers are kept, or a clinician who asks the questions aloud."""
    personal = any(
        tie.patient_id == response.patient_id and tie.relation in OWN and response.compartment in tie.compartments
        for tie in actor.ties
    )
    return Decision(
        personal or actor.has(Role.CLINICIAN), gettext("Only the patient answers these questions, or their clinician.")
    )


def can_change(response: Response) -> Decision:
    """Until it is sent, an answer may be changed."""
    return Decision(not response.is_completed, gettext("These answers have already been sent."))


def can_assign(actor: Actor, patient_id: UUID) -> Decision:
    """The team, the practice's clockwork, and the patient themself."""
    allowed = bool(patients.can_coordinate(actor)) or bool(patients.can_write_as_patient(actor, patient_id))
    return Decision(allowed, gettext("Only the care team gives out questionnaires."))


def _open_to(actor: Actor, now: int, compartments: Iterable[Compartment]) -> ColumnElement[bool]:
    return or_(
        *(
            and_(
                Response.compartment == compartment,
                Response.patient_id.in_(patients.patient_ids_of(actor, now, compartment)),
            )
            for compartment in compartments
        )
    )
