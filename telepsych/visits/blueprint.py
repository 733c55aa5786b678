"""The room's blueprint; its pages are in `check_in_views`, `room_views` and `closing_views`."""

from flask import Blueprint

from telepsych.core.actor import Role

bp = Blueprint("visits", __name__)

PATIENTS = (Role.PATIENT, Role.GUARDIAN)
CARE = (Role.CLINICIAN, Role.STAFF, Role.MANAGER)
ANYBODY = (*PATIENTS, Role.CLINICIAN)
