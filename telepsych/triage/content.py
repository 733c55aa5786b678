"""The shape of triage content in `config/triage/` and `config/crisis/`: screen, clocks, reasons, crisis help."""

from datetime import date
from functools import cache
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from telepsych.core.content import Content, Document, load, load_all
from telepsych.triage.priority import Priority

LEXICON = "triage/screen/lexicon.toml"
MEDICINES = "triage/screen/medicines.toml"
GUARDS = "triage/screen/guards.toml"
RULES = "triage/screen/rules"
CLOCKS = "triage/clocks.toml"
REASONS = "triage/reasons.toml"
CRISIS = "crisis/connecticut.toml"

Status = Literal["confirmed", "unconfirmed"]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
RuleId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$")]
Category = Literal[
    "suicide_intent", "suicide_passive", "self_harm", "harm_to_others", "abuse_or_coercion", "psychosis", "mania",
    "severe_agitation", "overdose_or_extra_doses", "intoxication_or_withdrawal", "serious_rash", "nms_or_serotonin",
    "lithium_toxicity", "clozapine_infection_or_myocarditis", "chest_pain_or_syncope", "severe_movement_reaction",
    "allergic_reaction", "pregnancy", "stopped_abruptly", "out_of_medication", "side_effect", "worsening_symptoms",
    "dose_question", "unreadable",
]  # fmt: skip
HelpKind = Literal["none", "crisis", "medical", "quiet"]
"""What the writer is shown at once. "quiet" names nothing they wrote: someone may be reading along."""
Patterns = tuple[str, ...]


class WordsFile(Document):
    """How words are spelled, and the named sets of words that patterns use. See `patterns` for how they are written."""

    expansions: dict[str, str]
    spellings: dict[str, str]
    emoji: dict[str, str]
    numbers: dict[str, float]
    fuzzy: tuple[str, ...]
    sets: dict[Slug, Patterns]
    negators: Patterns
    """Words that deny what follows in the same clause."""
    not_negators: Patterns
    """Phrases in which such a word denies nothing: "can not stop", "not joking"."""
    negation_stops: Patterns
    """Words that end what a negator reaches."""


class MedicineNames(Content):
    """One medicine: its generic name and everything people call it, and the groups whose rules it falls under."""

    id: str
    names: tuple[str, ...] = ()
    groups: tuple[Slug, ...]


class MedicinesFile(Document):
    """The medicines that rules look at, and those a message may name instead of them."""

    status: Status
    medicines: tuple[MedicineNames, ...]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [name for one in self.medicines for name in (one.id, *one.names)]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"named twice: {', '.join(sorted(twice))}")
        return self


class GuardContent(Content):
    """A way of speaking in which words of danger mean something else or are denied.

    `effect`: "drop" means nothing was said (an idiom); "note" keeps the finding, without raising (a clear denial, a
    leaflet); "lower" raises only as far as the rule's `lowered`.
    """

    id: Slug
    kind: Literal["idiom", "denied", "past", "quoted", "fiction", "leaflet", "hypothetical"]
    effect: Literal["drop", "note", "lower"]
    categories: tuple[Category, ...] = ()
    """Which findings it bears on; empty: all."""
    patterns: Patterns
    unless: Patterns = ()
    """When any of these stands in the same or the next sentence, the guard does not hold."""


class GuardsFile(Document):
    """All ways of speaking that guard against false findings."""

    status: Status
    guards: tuple[GuardContent, ...]


class Rule(Content):
    """What raises a message. Fires when `patterns` (if any) and `at_least` of the `signs` match, and a medicine fits.

    `medicines` names groups; empty: any. With `named_first`, a medicine named in the message is asked instead of the
    chart. `guarded` lets denial within a clause ("no fever") void a match. `unless` voids the rule.
    """

    id: RuleId
    version: str = "1"
    category: Category
    priority: Priority
    why: str
    source: str | None = None
    patterns: Patterns = ()
    signs: dict[Slug, Patterns] = {}
    at_least: int | None = Field(None, ge=1)
    within: Literal["message", "sentence"] = "message"
    medicines: tuple[Slug, ...] = ()
    named_first: bool = False
    guarded: bool = True
    unless: Patterns = ()
    lowered: Priority = Priority.URGENT
    help: HelpKind | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.patterns and not self.signs:
            raise ValueError("neither patterns nor signs")
        if self.at_least and self.at_least > len(self.signs):
            raise ValueError("at_least is more than there are signs")
        return self


class Example(Content):
    """A message and what the screen makes of it, held by a test: that priority, and that category among the raised."""

    text: str
    medicines: tuple[str, ...] = ()
    priority: Priority
    category: Category | None = None


class RulesFile(Document):
    """Rules of one kind, with what the patient is shown when one fires, and worked examples."""

    status: Status
    help: HelpKind
    rules: tuple[Rule, ...]
    examples: tuple[Example, ...]


class ScreenContent(Content):
    """Everything the safety screen is made of."""

    words: WordsFile
    medicines: MedicinesFile
    guards: GuardsFile
    rules: tuple[RulesFile, ...]


class Clocks(Document):
    """How soon each priority must be acknowledged, read and answered. Minutes are wall-clock."""

    status: Status
    acknowledge_minutes: dict[Priority, PositiveInt]
    read_minutes: dict[Priority, PositiveInt]
    reply_minutes: dict[Priority, PositiveInt]
    """A limit besides the business day, for what cannot wait for one."""
    reply_business_days: dict[Priority, Annotated[int, Field(ge=0, le=30)]]
    """Close of the same business day is 0, of the next is 1."""

    @model_validator(mode="after")
    def _more_urgent_is_never_later(self) -> Self:
        for name in ("acknowledge_minutes", "read_minutes", "reply_minutes", "reply_business_days"):
            by_priority = getattr(self, name)
            inorder = [by_priority[one] for one in sorted(by_priority, reverse=True)]
            if inorder != sorted(inorder):
                raise ValueError(f"{name}: what is more urgent comes later")
        if missing := set(Priority) - set(self.reply_business_days):
            raise ValueError(f"reply_business_days: missing {', '.join(sorted(missing))}")
        limited = sorted(self.reply_minutes, reverse=True)
        if limited != sorted(Priority, reverse=True)[: len(limited)]:
            raise ValueError("reply_minutes: a more urgent priority has none")
        return self


class Reason(Content):
    """Why a patient writes: what they choose from, and what they are told before they write."""

    id: Slug
    label: str
    hint: str
    priority: Priority
    response: str
    """When someone reads and answers, in the patient's words."""
    call_instead: tuple[str, ...] = ()
    """When a call is right and a message is not, one line each."""


class Reasons(Document):
    """The reasons to write, and the words every writer sees before sending."""

    status: Status
    before_heading: str
    before: tuple[str, ...]
    call_heading: str
    reasons: tuple[Reason, ...]


class Line(Content):
    """One way to reach help now. `href` is a tel: or sms: address."""

    id: Slug
    label: str
    href: Annotated[str, Field(pattern=r"^(tel|sms):[0-9+;,?=&%a-zA-Z]+$")]
    hours: str
    note: str = ""
    spoken_in: tuple[str, ...] = ("en",)
    everywhere: bool = False
    """Also outside Connecticut."""
    source: str
    status: Status


class StripPart(Content):
    """A piece of the one-line strip: plain words, or a link when `href` is there."""

    text: str
    href: str | None = None


class Card(Content):
    """What the writer sees at once after a message of concern. Naming a person's words back to them is left out."""

    heading: str
    words: tuple[str, ...]
    lines: tuple[Slug, ...]
    """Lines by id, in order. "practice" stands for the practice's own number."""
    minor_lines: tuple[Slug, ...]


class SafetyPage(Content):
    """The calm page after an answer about self-harm: thanks, help at once, and what happens next."""

    heading: str
    words: tuple[str, ...]
    safe_button: str
    safe_words: str
    lines: tuple[Slug, ...]
    minor_lines: tuple[Slug, ...]


class Crisis(Document):
    """Where help is found now in Connecticut, by age, and the words around it. Re-check every number quarterly."""

    strip: tuple[StripPart, ...]
    lines: tuple[Line, ...]
    cards: dict[Literal["crisis", "medical", "quiet"], Card]
    safety_page: SafetyPage

    @model_validator(mode="after")
    def _lines_are_there(self) -> Self:
        known = {line.id for line in self.lines} | {"practice"}
        places: tuple[Card | SafetyPage, ...] = (*self.cards.values(), self.safety_page)
        for place in places:
            if lost := {*place.lines, *place.minor_lines} - known:
                raise ValueError(f"no such line: {', '.join(sorted(lost))}")
        return self

    def lines_of(
        self, place: Card | SafetyPage, *, minor: bool = False, practice_phone: str = "", in_connecticut: bool = True
    ) -> tuple[Line, ...]:
        """The lines to show, in order: local ones inside Connecticut only, the practice's when its number is given."""
        by_id = {line.id: line for line in (*self.lines, *_practice(practice_phone))}
        chosen = (by_id.get(one) for one in (place.minor_lines if minor else place.lines))
        return tuple(line for line in chosen if line and (in_connecticut or line.everywhere))

    def is_overdue(self, today: date) -> bool:
        """Whether the numbers should have been confirmed again by now."""
        return self.review_again_by is None or today > self.review_again_by


def _practice(phone: str) -> tuple[Line, ...]:
    digits = "".join(char for char in phone if char.isdigit() or char == "+")
    if not digits:
        return ()
    return (
        Line(
            id="practice",
            label=f"Call the practice: {phone}",
            href=f"tel:{digits}",
            hours="During opening hours",
            everywhere=True,
            source="The practice's settings",
            status="confirmed",
        ),
    )


@cache
def screen_content() -> ScreenContent:
    """The safety screen's rules as shipped. Raises `Misconfigured` naming file and field."""
    return ScreenContent(
        words=load(WordsFile, LEXICON),
        medicines=load(MedicinesFile, MEDICINES),
        guards=load(GuardsFile, GUARDS),
        rules=tuple(load_all(RulesFile, RULES)),
    )


@cache
def clocks() -> Clocks:
    """The clocks as shipped."""
    return load(Clocks, CLOCKS)


@cache
def reasons() -> Reasons:
    """The reasons to write as shipped."""
    return load(Reasons, REASONS)


@cache
def crisis() -> Crisis:
    """Crisis help as shipped."""
    return load(Crisis, CRISIS)
