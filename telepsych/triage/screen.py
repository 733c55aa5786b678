"""The safety screen: reads what a person wrote and may raise its priority. Pure, deterministic, explains itself.

It never lowers a priority, never closes or holds anything, and finds only what its content describes: people read
every message. Denials, idioms and the past may lower a finding, or leave it noted without raising; what is
ambiguous about suicide stays raised.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from telepsych.core.errors import Misconfigured
from telepsych.triage.content import (
    Category,
    GuardContent,
    HelpKind,
    Patterns,
    Rule,
    RulesFile,
    ScreenContent,
    screen_content,
)
from telepsych.triage.patterns import Compiler, Pattern
from telepsych.triage.priority import Priority, highest
from telepsych.triage.reading import Matcher, MedicineBook, Negation, Reading, Spot
from telepsych.triage.text import Lexicon, read

FUZZY_LETTERS = 7
"""From this length on, a medicine's name is also understood with one slip."""
READS = frozenset({"en", "es"})
"""Languages the rules are written for."""
_HELP_ORDER: tuple[HelpKind, ...] = ("none", "quiet", "medical", "crisis")


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that fired: why, in words for staff, and which characters of the text it rests on."""

    rule: str
    version: str
    category: Category
    priority: Priority
    start: int
    end: int
    why: str
    source: str
    status: str
    help: HelpKind
    lowered_by: str | None = None
    """The way of speaking that lowered it ("denied", "past"), if any."""


@dataclass(frozen=True, slots=True)
class Screening:
    """What the screen makes of one text. `findings` are the most urgent first; routine ones are noted, not raised."""

    priority: Priority
    findings: tuple[Finding, ...]

    @property
    def raised(self) -> bool:
        """Whether the screen asks for more than routine attention."""
        return self.priority > Priority.ROUTINE

    @property
    def categories(self) -> tuple[Category, ...]:
        """What the raising findings are about, each once, the most urgent first."""
        return tuple(dict.fromkeys(one.category for one in self.findings if one.priority > Priority.ROUTINE))

    @property
    def help(self) -> HelpKind:
        """Which card the writer is shown at once. Abuse alone gives the quiet one: someone may be reading along."""
        kinds = [one.help for one in self.findings if one.priority >= Priority.URGENT]
        return max(kinds, key=_HELP_ORDER.index, default="none")


@dataclass(frozen=True, slots=True)
class Guard:
    """A compiled way of speaking."""

    content: GuardContent
    patterns: Matcher
    unless: Matcher

    def spots(self, reading: Reading) -> Iterator[Spot]:
        found = list(self.patterns.find(reading))
        cancelled = {spot.sentence for spot in self.unless.find(reading)} if found else set()
        for spot in found:
            if cancelled.isdisjoint({spot.sentence, spot.sentence + 1}):
                yield replace(spot, effect=self.content.effect, kind=self.content.kind)

    def bears_on(self, category: Category) -> bool:
        return not self.content.categories or category in self.content.categories


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its patterns compiled and the words of its file."""

    rule: Rule
    file: RulesFile
    patterns: Matcher | None
    signs: tuple[Matcher, ...]
    unless: Matcher


class Screen:
    """The screen made ready once from its content. Raises `Misconfigured` when a pattern cannot be read."""

    def __init__(self, content: ScreenContent) -> None:
        try:
            self._build(content)
        except ValueError as problem:
            raise Misconfigured(f"config/triage/screen: {problem}") from problem

    def _build(self, content: ScreenContent) -> None:
        words = content.words
        expansions = {short: tuple(full.split()) for short, full in words.expansions.items()}
        names = tuple(name for one in content.medicines.medicines for name in (one.id, *one.names))
        compiler = _Collecting({**words.sets, "medicine": names}, expansions)
        self._medicines = MedicineBook(content.medicines, compiler)
        self._negation = Negation(words, compiler)
        self._guards = [
            Guard(one, compiler.matcher(one.patterns, longest=True), compiler.matcher(one.unless))
            for one in content.guards.guards
        ]
        self._rules = [compiler.rule(rule, file) for file in content.rules for rule in file.rules]
        self._lexicon = Lexicon(
            expansions=words.expansions,
            spellings=words.spellings,
            emoji=words.emoji,
            numbers=words.numbers,
            fuzzy={*words.fuzzy, *(name for name in names if len(name) >= FUZZY_LETTERS and name.isalpha())},
            vocabulary=compiler.vocabulary | set(words.negators) | set(words.numbers) | set(words.spellings.values()),
        )

    def screen(self, text: str, medicines: Collection[str], language: str | None = None) -> Screening:
        """See `screen` of this module."""
        reading = Reading(read(text, self._lexicon))
        chart, named = self._medicines.on_chart(medicines), self._medicines.named(reading)
        guards = [(guard, list(guard.spots(reading))) for guard in self._guards]
        denied = self._negation.reaches(reading)
        look = _Look(reading, [(guard, spots) for guard, spots in guards if spots], denied)
        everyone, first = self._medicines.groups(chart | named), self._medicines.groups(named or chart)
        found = [
            finding
            for rule in self._rules
            if _fits(rule.rule, first if rule.rule.named_first else everyone) and (finding := look.at(rule))
        ]
        found.extend(_unreadable(text, language))
        found.sort(key=lambda one: (-one.priority.rank, one.start, one.rule))
        return Screening(highest(one.priority for one in found), tuple(found))


class _Collecting(Compiler):
    """A compiler that remembers every word it has seen, so that spelling knows what is worth recognising."""

    def __init__(self, sets: Mapping[str, Sequence[str]], expansions: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__(sets, expansions)
        self.vocabulary: set[str] = set()

    def compile(self, written: str) -> Pattern:
        pattern = super().compile(written)
        self.vocabulary |= pattern.words()
        return pattern

    def matcher(self, patterns: Patterns, *, longest: bool = False) -> Matcher:
        return Matcher([self.compile(one) for one in patterns], longest=longest)

    def rule(self, rule: Rule, file: RulesFile) -> CompiledRule:
        patterns = self.matcher(rule.patterns) if rule.patterns else None
        signs = tuple(self.matcher(one) for one in rule.signs.values())
        return CompiledRule(rule, file, patterns, signs, self.matcher(rule.unless))


class _Look:
    """One message under all rules."""

    def __init__(self, reading: Reading, guards: list[tuple[Guard, list[Spot]]], denied: set[tuple[int, int]]) -> None:
        self._reading, self._guards, self._denied = reading, guards, denied

    def at(self, compiled: CompiledRule) -> Finding | None:
        """The rule's finding, if it fires."""
        groups = [*((compiled.patterns,) if compiled.patterns else ()), *compiled.signs]
        found = [self._spots(compiled.rule, one) for one in groups]
        spots = self._together(compiled, found)
        if not spots or compiled.unless.matches(self._reading):
            return None
        return self._finding(compiled, spots)

    def _spots(self, rule: Rule, matcher: Matcher) -> list[Spot]:
        weighed = (self._weigh(rule, spot) for spot in matcher.find(self._reading))
        return sorted((spot for spot in weighed if spot.effect != "drop"), key=_strength)

    def _weigh(self, rule: Rule, spot: Spot) -> Spot:
        """The match with the strongest guard that lies over it."""
        if rule.guarded and (spot.sentence, spot.first) in self._denied:
            return replace(spot, effect="drop", kind="denied")
        over = [
            guard_spot
            for guard, spots in self._guards
            if guard.bears_on(rule.category)
            for guard_spot in spots
            if guard_spot.overlaps(spot)
        ]
        worst = max(over, key=_strength, default=spot)
        return replace(spot, effect=worst.effect, kind=worst.kind)

    def _together(self, compiled: CompiledRule, found: list[list[Spot]]) -> list[Spot]:
        """The spots a firing rests on: one of `patterns` and one of each sign, enough of them; empty when not."""
        if compiled.rule.within == "message":
            return _enough(compiled, [spots[:1] for spots in found])
        for sentence in range(len(self._reading.sentences)):
            here = [[spot for spot in spots if spot.sentence == sentence][:1] for spots in found]
            if spots := _enough(compiled, here):
                return spots
        return []

    def _finding(self, compiled: CompiledRule, spots: list[Spot]) -> Finding:
        rule, file = compiled.rule, compiled.file
        weakest = max(spots, key=_strength)
        places = [self._reading.sentences[spot.sentence][spot.first : spot.last] for spot in spots]
        return Finding(
            rule=rule.id,
            version=f"{file.id}/{file.version}/{rule.version}",
            category=rule.category,
            priority=_weakened(rule, weakest),
            start=min(tokens[0].start for tokens in places),
            end=max(tokens[-1].end for tokens in places),
            why=rule.why,
            source=rule.source or file.source,
            status=file.status,
            help=rule.help or file.help,
            lowered_by=weakest.kind if weakest.effect != "keep" else None,
        )


def _weakened(rule: Rule, spot: Spot) -> Priority:
    if spot.effect == "note":
        return Priority.ROUTINE
    return min(rule.priority, rule.lowered) if spot.effect == "lower" else rule.priority


def _enough(compiled: CompiledRule, found: list[list[Spot]]) -> list[Spot]:
    fixed = 1 if compiled.patterns else 0
    if not all(found[:fixed]):
        return []
    signs = [spots[0] for spots in found[fixed:] if spots]
    wanted = compiled.rule.at_least or (1 if compiled.signs else 0)
    return [spots[0] for spots in found[:fixed]] + signs if len(signs) >= wanted else []


def _strength(spot: Spot) -> int:
    return ("keep", "lower", "note", "drop").index(spot.effect)


def _fits(rule: Rule, groups: frozenset[str]) -> bool:
    return not rule.medicines or not groups.isdisjoint(rule.medicines)


def _unreadable(text: str, language: str | None) -> Iterator[Finding]:
    """Other languages and scripts pass under the rules unseen, so a person reads them the same day."""
    letters = [char for char in text if char.isalpha()]
    foreign = sum(ord(char) > 0x24F for char in map(str, letters)) * 2 > len(letters) > 0
    if foreign or (language is not None and language.split("-")[0].casefold() not in READS):
        yield Finding(
            rule="language.unreadable",
            version="1",
            category="unreadable",
            priority=Priority.SOON,
            start=0,
            end=len(text),
            why="The safety screen reads English and Spanish only; it has not understood this message.",
            source="Design",
            status="confirmed",
            help="none",
        )


@cache
def shipped() -> Screen:
    """The screen with the content that ships, built once."""
    return Screen(screen_content())


def screen(text: str, medicines: Collection[str], language: str | None = None) -> Screening:
    """Screen what a person wrote.

    `medicines`: the chart's active medicines by generic or brand name. `language`: what the writer uses, if known
    ("en", "es-MX"); English and Spanish rules are tried on every text, because people mix them. Raises nothing for
    any text.
    """
    return shipped().screen(text, medicines, language)
