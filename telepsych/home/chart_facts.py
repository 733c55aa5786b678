"""Recording chart facts: reading what was typed, saying kindly what cannot be, and writing only what is new."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from werkzeug.datastructures import MultiDict

from telepsych.core.clock import local_date
from telepsych.core.errors import Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.home.content import ChartField, chart_form
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.web import drafts

Typed = MultiDict[str, str]
"""A form as it was sent."""


def record(work: Work, patient_id: UUID, typed: Typed) -> int:
    """Record the facts that were filled in and differ from what is known. Returns how many.

    Raises `Invalid` naming each field that cannot be read; nothing is saved then.
    """
    work.require(patients_policy.can_care_for(work.actor, patient_id))
    patient = patients.open_patient(work, patient_id)
    today = local_date(work.now, work.practice.settings.tz)
    values, faults = read(typed, today)
    if faults:
        raise Invalid(fields=faults)
    known = patients.facts_of(work, patient.id)
    news = {code: value for code, value in values.items() if code not in known or known[code].value != value}
    if news:
        patients.record_facts(work, patient.id, news, source="chart")
    drafts.discard(work, place_of(patient_id))
    return len(news)


def read(typed: Typed, today: date) -> tuple[dict[str, Any], dict[str, str]]:
    """The facts a form states, by code, and what is wrong with it, by the name of the input."""
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for field in chart_form().fields():
        try:
            value = READERS[field.kind](field, typed, today)
        except Invalid as error:
            faults.update(error.fields)
            continue
        if value is not None:
            values[field.code] = value
    return values, faults


def shown(known: Mapping[str, Any]) -> dict[str, Any]:
    """What the form shows at first, by the name of the input: what the ledger knows."""
    inputs: dict[str, Any] = {}
    for field in chart_form().fields():
        if field.code in known:
            inputs.update(_inputs_of(field, known[field.code].value))
    return inputs


def place_of(patient_id: UUID) -> str:
    """Where what is being typed is kept."""
    return f"chart-facts:{patient_id}"


def _inputs_of(field: ChartField, value: Any) -> dict[str, Any]:
    if field.kind == "blood_pressure":
        return {f"{field.name}_{part}": value.get(part, "") for part in ("systolic", "diastolic", "on")}
    if field.kind == "dated_number":
        return {field.name: value.get(field.key, ""), f"{field.name}_on": value.get("on", "")}
    if field.kind == "date_or_never" and value == "never":
        return {f"{field.name}_never": "1"}
    if field.kind == "yes_no":
        return {field.name: "yes" if value else "no"}
    return {field.name: value}


def _date(field: ChartField, typed: Typed, today: date) -> str | None:
    return _day(field, typed.get(field.name, ""), field.name, today)


def _date_or_never(field: ChartField, typed: Typed, today: date) -> str | None:
    return "never" if typed.get(f"{field.name}_never", "") else _date(field, typed, today)


def _dated_number(field: ChartField, typed: Typed, today: date) -> dict[str, Any] | None:
    text = typed.get(field.name, "").strip()
    if not text:
        return None
    number = _number(field, text, field.name)
    return {field.key: number, "on": _needed_day(field, typed, today)}


def _blood_pressure(field: ChartField, typed: Typed, today: date) -> dict[str, Any] | None:
    names = [f"{field.name}_{part}" for part in ("systolic", "diastolic")]
    texts = [typed.get(name, "").strip() for name in names]
    if not any(texts):
        return None
    upper, lower = (_number(field, text, name) for text, name in zip(texts, names, strict=True))
    if upper <= lower:
        raise Invalid(fields={names[0]: gettext("The first number is larger than the second. Please check.")})
    return {"systolic": upper, "diastolic": lower, "on": _needed_day(field, typed, today)}


def _choice(field: ChartField, typed: Typed, _today: date) -> str | None:
    chosen = typed.get(field.name, "")
    return chosen if chosen in {one.value for one in field.choices} else None


def _several(field: ChartField, typed: Typed, _today: date) -> list[str] | None:
    allowed = {one.value for one in field.choices}
    chosen = [one for one in typed.getlist(field.name) if one in allowed]
    return chosen or None


def _yes_no(field: ChartField, typed: Typed, _today: date) -> bool | None:
    return {"yes": True, "no": False}.get(typed.get(field.name, ""))


READERS: dict[str, Callable[[ChartField, Typed, date], Any]] = {
    "date": _date,
    "date_or_never": _date_or_never,
    "dated_number": _dated_number,
    "blood_pressure": _blood_pressure,
    "choice": _choice,
    "several": _several,
    "yes_no": _yes_no,
}


def _needed_day(field: ChartField, typed: Typed, today: date) -> str:
    name = f"{field.name}_on"
    found = _day(field, typed.get(name, ""), name, today)
    if found is None:
        raise Invalid(fields={name: gettext("Please give the date it was taken.")})
    return found


def _day(_field: ChartField, text: str, name: str, today: date) -> str | None:
    if not text.strip():
        return None
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise Invalid(fields={name: gettext("Please give a date, such as 2026-11-24.")}) from None
    if day > today:
        raise Invalid(fields={name: gettext("This date lies in the future.")})
    if day.year < 1900:
        raise Invalid(fields={name: gettext("Please check the year.")})
    return day.isoformat()


def _number(field: ChartField, text: str, name: str) -> float | int:
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        raise Invalid(fields={name: gettext("Please give a number.")}) from None
    if not field.least <= number <= field.most:
        message = gettext("Please check: this should lie between {least} and {most}.")
        raise Invalid(fields={name: message.format(least=f"{field.least:g}", most=f"{field.most:g}")})
    return int(number) if number.is_integer() else number
