"""Who sees a patient's medicines, who changes the list, who answers the check-in."""

from uuid import UUID

from sqlalchemy import Select, select

from telepsych.core.actor import Actor, Compartment, Decision, Relation
from telepsych.core.words import gettext
from telepsych.medications.models import MedicationCheckIn, MedicineState, PatientMedicine
from telepsych.patients import policy as patients

OWN = (Relation.SELF, Relation.PROXY)


def medicines_of(actor: Actor, now: int) -> Select[PatientMedicine]:
    """The medicines of every patient whose general compartment is open to the actor."""
    return select(PatientMedicine).where(PatientMedicine.patient_id.in_(patients.patient_ids_of(actor, now)))


def medicines_shared(patient_id: UUID) -> Select[PatientMedicine]:
    """What a supporter is shown, once `patients.can_see_part` has said yes: what is taken now."""
    return select(PatientMedicine).where(
        PatientMedicine.patient_id == patient_id, PatientMedicine.state == MedicineState.ACTIVE
    )


def check_ins_of(actor: Actor, now: int) -> Select[MedicationCheckIn]:
    """The medication check-ins of the same patients."""
    return select(MedicationCheckIn).where(MedicationCheckIn.patient_id.in_(patients.patient_ids_of(actor, now)))


def can_change_list(actor: Actor, patient_id: UUID | None = None) -> Decision:
    """Clinicians only, and nobody their own or a relative's: the list says what was decided."""
    allowed = bool(patients.can_care_for(actor, patient_id))
    return Decision(allowed, gettext("Only a clinician changes the list of medicines."))


def can_open_check_in(actor: Actor, patient_id: UUID) -> Decision:
    """The team, the practice's clockwork, and the patient themself."""
    allowed = bool(patients.can_coordinate(actor)) or bool(patients.can_write_as_patient(actor, patient_id))
    return Decision(allowed, gettext("Only the care team opens a check-in."))


def can_answer(actor: Actor, check_in: MedicationCheckIn) -> Decision:
    """The patient, or whoever represents them."""
    personal = any(
        tie.patient_id == check_in.patient_id and tie.relation in OWN and Compartment.GENERAL in tie.compartments
        for tie in actor.ties
    )
    return Decision(personal, gettext("Only the patient answers these questions."))


def can_change(check_in: MedicationCheckIn) -> Decision:
    """Until it is sent, an answer may be changed."""
    return Decision(not check_in.is_completed, gettext("These answers have already been sent."))
