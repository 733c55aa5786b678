"""The shape of a consent: `config/consents/*.toml`.

A text is signed as it reads on the day, so every version stays in the folder and is never edited: a change is a new
file with a new version and date. `digest` names exactly what a person was shown. What the law asks for is stated per
section with its source, and marked where nobody has confirmed it; the practice's counsel decides.
"""

import hashlib
from datetime import date, timedelta
from functools import cache
from typing import Annotated, Literal, Self

import rfc8785
from pydantic import Field, model_validator

from telepsych.core.content import Content, Document, load_all
from telepsych.core.errors import Misconfigured, NotFound

FOLDER = "consents"

Status = Literal["confirmed", "unconfirmed"]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]

TELEHEALTH_SECTIONS = frozenset(
    {"what", "limits", "privacy", "location", "emergencies", "phone", "medicines", "records", "stopping", "under_18"}
)
"""What a telehealth consent has to speak about, whatever else it says."""


class Section(Content):
    """A short passage under one heading."""

    id: Slug
    heading: str
    paragraphs: tuple[str, ...] = Field(min_length=1)
    under_age: int | None = None
    """Shown only when the patient is younger than this, in years."""
    source: str
    status: Status


class Signer(Content):
    """Someone who has to sign when the patient's age, in years, lies between `youngest` and `oldest`."""

    who: Literal["patient", "guardian"]
    youngest: int = 0
    oldest: int | None = None
    statement: str
    """What this person declares by signing."""
    or_by: tuple[Slug, ...] = ()
    """Who may sign in this person's place, with a document that shows it."""
    source: str
    status: Status

    def needed_at(self, years: int) -> bool:
        """Whether this signature is needed for a patient of this age."""
        return self.youngest <= years and (self.oldest is None or years <= self.oldest)


class Question(Content):
    """A choice asked beside the consent. It has no answer until the person gives one, and a no costs nothing."""

    id: Slug
    text: str
    hint: str
    source: str
    status: Status


class Consent(Document):
    """One version of one consent text."""

    kind: Slug
    jurisdiction: str
    language: str
    title: str
    intro: str
    effective_from: date
    effective_until: date | None = None
    """The last day on which it may be signed."""
    renew_days: Annotated[int, Field(gt=0)] | None = None
    """After how many days a signature has to be given again."""
    renew_source: str
    renew_status: Status
    verbal_allowed: bool
    """Whether a clinician may record that the person agreed aloud."""
    sections: tuple[Section, ...] = Field(min_length=1)
    questions: tuple[Question, ...] = ()
    signers: tuple[Signer, ...] = Field(min_length=1)
    withdraw: str
    """How the person takes it back, shown wherever the signed text is shown."""

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        named = [section.id for section in self.sections]
        if len(named) != len(set(named)):
            raise ValueError("a section is there twice")
        if self.kind == "telehealth" and (lost := sorted(TELEHEALTH_SECTIONS - set(named))):
            raise ValueError(f"sections are missing: {', '.join(lost)}")
        if self.effective_until and self.effective_until < self.effective_from:
            raise ValueError("it ends before it begins")
        if unsigned := [years for years in range(130) if not signers_for(self, years)]:
            raise ValueError(f"nobody signs for a patient of age {unsigned[0]}")
        return self


def sections_for(consent: Consent, years: int) -> tuple[Section, ...]:
    """The passages shown when the patient has this age."""
    return tuple(section for section in consent.sections if section.under_age is None or years < section.under_age)


def signers_for(consent: Consent, years: int) -> tuple[Signer, ...]:
    """Everyone who has to sign for a patient of this age."""
    return tuple(signer for signer in consent.signers if signer.needed_at(years))


def digest(consent: Consent, years: int) -> str:
    """The SHA-256, in hex, of everything shown to the signers for a patient of this age; stored with a signature."""
    shown = {
        "id": consent.id,
        "version": consent.version,
        "language": consent.language,
        "title": consent.title,
        "intro": consent.intro,
        "sections": [[one.heading, *one.paragraphs] for one in sections_for(consent, years)],
        "questions": [[one.text, one.hint] for one in consent.questions],
        "statements": [[one.who, one.statement] for one in signers_for(consent, years)],
        "withdraw": consent.withdraw,
    }
    return hashlib.sha256(rfc8785.dumps(shown)).hexdigest()


def signature_holds(consent: Consent, signed_version: str, signed_on: date, today: date) -> bool:
    """Whether a signature given on that day still stands for the text in force: same version, and not too old."""
    if signed_version != consent.version or signed_on > today:
        return False
    return consent.renew_days is None or today <= signed_on + timedelta(days=consent.renew_days)


@cache
def consents() -> tuple[Consent, ...]:
    """Every version of every consent. Raises `Misconfigured` for a wrong file or a version used twice."""
    found = tuple(load_all(Consent, FOLDER))
    names = [(one.id, one.version, one.language) for one in found]
    if len(names) != len(set(names)):
        raise Misconfigured(f"config/{FOLDER}: a version is there twice")
    return found


def in_force(
    kind: str, today: date, language: str = "en", jurisdiction: str = "CT", among: tuple[Consent, ...] | None = None
) -> Consent:
    """The newest text of a kind that may be signed today. Raises `NotFound` when there is none."""
    fitting = [
        one
        for one in (consents() if among is None else among)
        if (one.kind, one.language, one.jurisdiction) == (kind, language, jurisdiction)
        and one.effective_from <= today
        and (one.effective_until is None or today <= one.effective_until)
    ]
    if not fitting:
        raise NotFound
    return max(fitting, key=lambda one: one.effective_from)
