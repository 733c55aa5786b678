"""Medicines, for every other room: the list (`medicine_list`) and the check-in before a visit (`check_ins`)."""

from telepsych.medications.check_ins import (
    Report,
    check_in,
    check_in_done,
    complete_check_in,
    open_check_in,
    save_check_in_answer,
)
from telepsych.medications.medicine_list import (
    MedicineChange,
    MedicineLine,
    add_medicine,
    change_medicine,
    changes_since,
    list_of,
    require_of,
    shared_list,
    start_again,
    stop_medicine,
)

__all__ = [
    "MedicineChange",
    "MedicineLine",
    "Report",
    "add_medicine",
    "change_medicine",
    "changes_since",
    "check_in",
    "check_in_done",
    "complete_check_in",
    "list_of",
    "open_check_in",
    "require_of",
    "save_check_in_answer",
    "shared_list",
    "start_again",
    "stop_medicine",
]
