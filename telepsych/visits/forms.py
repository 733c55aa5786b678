"""The pages of the check-in: what each asks, how its form is read, which facts its answers are. Pure."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from telepsych.core.errors import Invalid
from telepsych.core.words import gettext

Answers = Mapping[str, Any]
LONGEST = 500
LONGEST_QUESTION = 1_000
QUESTIONS = ("question1", "question2", "question3")


class StepKey(StrEnum):
    """The pages of the check-in that belong to the visit itself, in the order in which they are asked."""

    CONSENT = "consent"
    WHERE = "where"
    PHONE = "phone"
    CONTACT = "contact"
    PRIVACY = "privacy"
    GUARDIAN = "guardian"
    MEANS = "means"
    QUESTIONS = "questions"


OF_THE_DAY = frozenset({StepKey.WHERE, StepKey.PHONE, StepKey.PRIVACY, StepKey.GUARDIAN})
"""What is true where somebody is now: asked again when the answer has grown old."""
PRIVATE = frozenset({StepKey.PRIVACY, StepKey.MEANS, StepKey.QUESTIONS})
"""What a young person who signs in answers for themself, in confidence."""
MINUTES: Mapping[StepKey, int] = {
    StepKey.CONSENT: 4,
    StepKey.WHERE: 1,
    StepKey.PHONE: 1,
    StepKey.CONTACT: 1,
    StepKey.PRIVACY: 1,
    StepKey.GUARDIAN: 1,
    StepKey.MEANS: 1,
    StepKey.QUESTIONS: 2,
}


class Situation(StrEnum):
    """In what kind of place somebody is."""

    HOME = "home"
    WORK = "work"
    PUBLIC = "public"
    DRIVING = "driving"


class Company(StrEnum):
    """Who is with them."""

    ALONE = "alone"
    WITH = "with"
    NEAR = "near"


def labels(about: str = "") -> dict[StepKey, str]:
    """What each page is called in the list of things to do; `about` names whom somebody else answers for."""
    if about:
        named = {
            StepKey.WHERE: gettext("Where %(name)s is"),
            StepKey.PRIVACY: gettext("Who is with %(name)s"),
            StepKey.QUESTIONS: gettext("What is to be talked about"),
        }
        return labels() | {key: words % {"name": about} for key, words in named.items()}
    return {
        StepKey.CONSENT: gettext("Read and sign: visits by video or phone"),
        StepKey.WHERE: gettext("Where you are"),
        StepKey.PHONE: gettext("A number we can call"),
        StepKey.CONTACT: gettext("Someone to call in an emergency"),
        StepKey.PRIVACY: gettext("Who is with you"),
        StepKey.GUARDIAN: gettext("A parent or guardian we can reach"),
        StepKey.MEANS: gettext("One question about safety at home"),
        StepKey.QUESTIONS: gettext("What you want to talk about"),
    }


def read(step: StepKey, form: Mapping[str, str]) -> dict[str, Any]:
    """The answers in a form. Raises `Invalid` naming the fields and what to do about them."""
    return READERS[step](form)


def facts(step: StepKey, answers: Answers) -> dict[str, Any]:
    """What the answers are in the vocabulary of the facts ledger."""
    writer = FACTS.get(step)
    return writer(answers) if writer else {}


def _where(form: Mapping[str, str]) -> dict[str, Any]:
    state, address, situation = form.get("state", ""), _text(form, "address"), form.get("situation", "")
    problems = {}
    if state not in STATES:
        problems["state"] = gettext("Please choose the state you are in.")
    if len(address) < 4:
        problems["address"] = gettext("Please write the street and the town, so that help could find you.")
    if situation not in list(Situation):
        problems["situation"] = gettext("Please choose one of the answers.")
    _refuse(problems)
    return {"state": state, "address": address, "situation": situation}


def _where_facts(answers: Answers) -> dict[str, Any]:
    """What the patient gave; the clinician confirms it aloud in the visit."""
    return {
        "visit.location": {"state": answers["state"], "address": answers["address"], "confirmed": False},
        "visit.state": answers["state"],
        "visit.situation": answers["situation"],
        "visit.location_confirmed": False,
    }


def _phone(form: Mapping[str, str]) -> dict[str, Any]:
    return {"number": _number(form, "number")}


def _contact(form: Mapping[str, str]) -> dict[str, Any]:
    if "decline" in form:
        return {"refused": True}
    if form.get("keep") == "yes":
        return {"kept": True}
    name, relationship = _text(form, "name"), _text(form, "relationship")
    problems = {}
    if not name:
        problems["name"] = gettext("Please write a name.")
    if not relationship:
        problems["relationship"] = gettext("Please say who this is to you, such as a friend or your sister.")
    try:
        phone = _number(form, "phone")
    except Invalid as error:
        problems |= error.fields
    _refuse(problems)
    return {"name": name, "relationship": relationship, "phone": phone}


def _contact_facts(answers: Answers) -> dict[str, Any]:
    refused = bool(answers.get("refused"))
    return {"emergency_contact.present": not refused, "emergency_contact.refused": refused}


def _privacy(form: Mapping[str, str]) -> dict[str, Any]:
    problems = {}
    if form.get("safe") not in ("yes", "no"):
        problems["safe"] = gettext("Please choose yes or no.")
    if form.get("company") not in list(Company):
        problems["company"] = gettext("Please choose one of the answers.")
    _refuse(problems)
    return {"safe": form["safe"] == "yes", "company": form["company"], "who": _text(form, "who")}


def _privacy_facts(answers: Answers) -> dict[str, Any]:
    alone = answers["company"] == Company.ALONE
    return {
        "visit.safe_to_talk": answers["safe"],
        "visit.alone": alone,
        "visit.others_present": not alone,
        "visit.private": alone,
    }


def _guardian(form: Mapping[str, str]) -> dict[str, Any]:
    if form.get("reachable") not in ("yes", "no"):
        _refuse({"reachable": gettext("Please choose yes or no.")})
    return {"reachable": form["reachable"] == "yes"}


def _means(form: Mapping[str, str]) -> dict[str, Any]:
    if "decline" in form:
        return {"declined": True}
    if form.get("access") not in ("yes", "no"):
        _refuse({"access": gettext("Please choose one of the answers.")})
    return {"access": form["access"] == "yes"}


def _questions(form: Mapping[str, str]) -> dict[str, Any]:
    asked = [form.get(name, "").strip() for name in QUESTIONS]
    too_long = gettext("Please keep this under 1,000 characters. You can tell the rest in your visit.")
    long = {name: too_long for name, text in zip(QUESTIONS, asked, strict=True) if len(text) > LONGEST_QUESTION}
    _refuse(long)
    return {"questions": [text for text in asked if text], "in_person": form.get("in_person") == "yes"}


def _text(form: Mapping[str, str], name: str) -> str:
    text = " ".join(form.get(name, "").split())
    if len(text) > LONGEST:
        _refuse({name: gettext("Please keep this a little shorter.")})
    return text


def _number(form: Mapping[str, str], name: str) -> str:
    text = _text(form, name)
    digits = sum(char.isdigit() for char in text)
    if not 10 <= digits <= 15 or len(text) > 40:
        _refuse({name: gettext("Please write the number with its area code, such as (203) 555-0123.")})
    return text


def _refuse(problems: Mapping[str, str]) -> None:
    if problems:
        raise Invalid(fields=dict(problems))


READERS: Mapping[StepKey, Callable[[Mapping[str, str]], dict[str, Any]]] = {
    StepKey.WHERE: _where,
    StepKey.PHONE: _phone,
    StepKey.CONTACT: _contact,
    StepKey.PRIVACY: _privacy,
    StepKey.GUARDIAN: _guardian,
    StepKey.MEANS: _means,
    StepKey.QUESTIONS: _questions,
}
FACTS: Mapping[StepKey, Callable[[Answers], dict[str, Any]]] = {
    StepKey.WHERE: _where_facts,
    StepKey.PHONE: lambda answers: {"visit.callback_number": answers["number"]},
    StepKey.CONTACT: _contact_facts,
    StepKey.PRIVACY: _privacy_facts,
    StepKey.GUARDIAN: lambda answers: {"guardian.reachable": answers["reachable"]},
    StepKey.MEANS: lambda answers: {"means.access": answers["access"]} if "access" in answers else {},
    StepKey.QUESTIONS: lambda answers: {"patient.wants_in_person": answers["in_person"]},
}

STATES = {
    "AL": "Alabama",
    "AK": "Alaska",
    "AZ": "Arizona",
    "AR": "Arkansas",
    "CA": "California",
    "CO": "Colorado",
    "CT": "Connecticut",
    "DE": "Delaware",
    "DC": "District of Columbia",
    "FL": "Florida",
    "GA": "Georgia",
    "HI": "Hawaii",
    "ID": "Idaho",
    "IL": "Illinois",
    "IN": "Indiana",
    "IA": "Iowa",
    "KS": "Kansas",
    "KY": "Kentucky",
    "LA": "Louisiana",
    "ME": "Maine",
    "MD": "Maryland",
    "MA": "Massachusetts",
    "MI": "Michigan",
    "MN": "Minnesota",
    "MS": "Mississippi",
    "MO": "Missouri",
    "MT": "Montana",
    "NE": "Nebraska",
    "NV": "Nevada",
    "NH": "New Hampshire",
    "NJ": "New Jersey",
    "NM": "New Mexico",
    "NY": "New York",
    "NC": "North Carolina",
    "ND": "North Dakota",
    "OH": "Ohio",
    "OK": "Oklahoma",
    "OR": "Oregon",
    "PA": "Pennsylvania",
    "PR": "Puerto Rico",
    "RI": "Rhode Island",
    "SC": "South Carolina",
    "SD": "South Dakota",
    "TN": "Tennessee",
    "TX": "Texas",
    "UT": "Utah",
    "VT": "Vermont",
    "VA": "Virginia",
    "WA": "Washington",
    "WV": "West Virginia",
    "WI": "Wisconsin",
    "WY": "Wyoming",
    "XX": "Outside the United States",
}
