"""The medicine catalogue behind the check-in: `config/medications/`.

`check_in.toml` holds what every medicine is asked about; `catalogue/*.toml` the medicines. The catalogue is thin on
purpose: what a medicine is called, what it is for in everyday words, what to ask, what must not wait, and how it may
be stopped. It holds no doses, checks no interactions and replaces no label.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from string import Formatter
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from telepsych.core.content import Content, Document, load, load_all
from telepsych.core.errors import Misconfigured

CATALOGUE = "medications/catalogue"
CHECK_IN = "medications/check_in.toml"

Status = Literal["confirmed", "unconfirmed"]
Priority = Literal["emergency", "urgent", "soon", "routine"]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]


class Choice(Content):
    """One coded answer and how it reads to a patient."""

    id: Slug
    text: str


class Symptom(Content):
    """Something to ask about, in a patient's words, with the body system it is listed under."""

    id: Slug
    text: str
    system: Slug


class StoppedAtOnce(Content):
    """What somebody is told at once who stopped a medicine suddenly that must never be: `{medicine}` is its name."""

    priority: Priority
    patient: str
    source: str
    status: Status

    @field_validator("patient")
    @classmethod
    def _names_the_medicine(cls, words: str) -> str:
        if {name for _, name, _, _ in Formatter().parse(words) if name is not None} != {"medicine"}:
            raise ValueError("has to name {medicine}, and nothing else in braces")
        return words

    def told(self, medicine: str) -> str:
        """The words about one medicine."""
        return self.patient.format(medicine=medicine)


class CheckIn(Document):
    """What the medication check-in asks for every medicine."""

    status: Status
    systems: tuple[Choice, ...]
    symptoms: tuple[Symptom, ...]
    severities: tuple[Choice, ...]
    burdens: tuple[Choice, ...]
    """How much side effects get in the way altogether."""
    reasons: tuple[Choice, ...]
    """Why doses were missed, changed or stopped."""
    stopped_at_once: StoppedAtOnce

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        for name in ("systems", "symptoms", "severities", "burdens", "reasons"):
            codes = [one.id for one in getattr(self, name)]
            if len(codes) != len(set(codes)):
                raise ValueError(f"{name}: an id is there twice")
        systems = {system.id for system in self.systems}
        if lost := sorted(one.id for one in self.symptoms if one.system not in systems):
            raise ValueError(f"symptoms without a system: {', '.join(lost)}")
        return self

    def symptom(self, symptom_id: str) -> Symptom:
        """The symptom of this id. Raises KeyError."""
        return {one.id: one for one in self.symptoms}[symptom_id]


class RedFlag(Content):
    """A symptom that must not wait with this medicine, and what the patient is told at once."""

    symptom: Slug
    priority: Priority
    patient: str
    source: str
    status: Status


class Medicine(Content):
    """One medicine by its generic name. Rules elsewhere know it by `id`."""

    id: Slug
    name: str
    brands: tuple[str, ...] = ()
    rxcui: Annotated[str, Field(pattern=r"^\d{1,7}$")]
    rxcui_status: Status
    group: Slug
    schedule: Literal["II", "III", "IV", "V"] | None = None
    """The US controlled-substance schedule."""
    used_for: str
    """In everyday words, completing "Often used for …"; the clinician may have another reason."""
    ask_about: tuple[Slug, ...] = Field(min_length=1)
    red_flags: tuple[RedFlag, ...] = ()
    stopping: Literal["never_suddenly", "step_by_step", "ask_first"]
    """`never_suddenly`: stopping at once can be dangerous. `step_by_step`: it often feels bad. `ask_first`: talk first.
    """

    @property
    def never_stop_suddenly(self) -> bool:
        """Whether stopping at once can be dangerous."""
        return self.stopping == "never_suddenly"

    def answers_to(self, words: str) -> bool:
        """Whether someone who typed these words may mean this medicine: the start of its generic or a brand name."""
        typed = words.strip().casefold()
        return bool(typed) and any(name.casefold().startswith(typed) for name in (self.name, *self.brands))


class Group(Content):
    """A family of medicines as patients know it."""

    id: Slug
    text: str


class Catalogue(Document):
    """One file of medicines. The statuses say whether side effects and stopping advice were checked."""

    side_effects_source: str
    side_effects_status: Status
    stopping_source: str
    stopping_status: Status
    groups: tuple[Group, ...]
    medicines: tuple[Medicine, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _grouped(self) -> Self:
        groups = {group.id for group in self.groups}
        if lost := sorted(one.id for one in self.medicines if one.group not in groups):
            raise ValueError(f"medicines without a group: {', '.join(lost)}")
        return self


@cache
def check_in() -> CheckIn:
    """What every medicine is asked about. Raises `Misconfigured`."""
    return load(CheckIn, CHECK_IN)


@cache
def catalogues() -> tuple[Catalogue, ...]:
    """Every file of medicines, checked against the symptoms there are. Raises `Misconfigured`."""
    found = tuple(load_all(Catalogue, CATALOGUE))
    for catalogue in found:
        require_known_symptoms(catalogue, check_in())
    return found


@cache
def medicines() -> Mapping[str, Medicine]:
    """Every medicine by id. Raises `Misconfigured` when one is there twice."""
    return MappingProxyType(by_id(one for catalogue in catalogues() for one in catalogue.medicines))


def find(words: str) -> tuple[Medicine, ...]:
    """The medicines someone may mean who typed these words, by name; several when it is not clear."""
    found = (one for one in medicines().values() if one.answers_to(words))
    return tuple(sorted(found, key=lambda one: one.name))


def symptoms_of(medicine: Medicine) -> tuple[Symptom, ...]:
    """What to ask about a medicine: what must not wait first, then the common, each once."""
    wanted = dict.fromkeys([*(one.symptom for one in medicine.red_flags), *medicine.ask_about])
    return tuple(check_in().symptom(name) for name in wanted)


def by_id(listed: Iterable[Medicine]) -> dict[str, Medicine]:
    """Medicines by id. Raises `Misconfigured` when an id or an RxNorm code is there twice."""
    found: dict[str, Medicine] = {}
    codes: dict[str, str] = {}
    for one in listed:
        if one.id in found or one.rxcui in codes:
            raise Misconfigured(f"config/{CATALOGUE}: {one.id} is there twice, by its id or its RxNorm code")
        found[one.id] = one
        codes[one.rxcui] = one.id
    return found


def require_known_symptoms(catalogue: Catalogue, asked: CheckIn) -> None:
    """Raise `Misconfigured` naming the medicines that ask about a symptom there is not."""
    known = {symptom.id for symptom in asked.symptoms}
    for one in catalogue.medicines:
        named = {*one.ask_about, *(flag.symptom for flag in one.red_flags)}
        if lost := sorted(named - known):
            raise Misconfigured(f"config/{CATALOGUE}: {one.id} asks about {', '.join(lost)}, which is not a symptom")
