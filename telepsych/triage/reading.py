"""Looking things up in one message: where patterns stand, what is denied, and which medicines are named."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from telepsych.triage.content import MedicinesFile, WordsFile
from telepsych.triage.patterns import Compiler, Pattern
from telepsych.triage.text import Token, fold

NEGATION_REACH = 4
"""Words a denial reaches forward in its clause."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a pattern matched: sentence and words within it, and the way of speaking that weakens it."""

    sentence: int
    first: int
    last: int
    effect: str = "keep"
    kind: str | None = None

    def overlaps(self, other: "Spot") -> bool:
        return self.sentence == other.sentence and self.first < other.last and other.first < self.last


class Reading:
    """One message made ready for looking up: its sentences, and where each word stands."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.sentences: list[list[Token]] = []
        self.places: dict[str, list[tuple[int, int]]] = {}
        number = None
        for token in tokens:
            if token.sentence != number:
                self.sentences.append([])
                number = token.sentence
            at = (len(self.sentences) - 1, len(self.sentences[-1]))
            self.sentences[-1].append(token)
            for key in token.keys:
                self.places.setdefault(key, []).append(at)
        self.keys = frozenset(self.places)


class Matcher:
    """Several patterns looked up together. Those whose words are not all in the message cost almost nothing.

    `longest` takes the farthest end of a match instead of the nearest, as guards do.
    """

    def __init__(self, patterns: Iterable[Pattern], *, longest: bool = False) -> None:
        self._longest = longest
        self._patterns = [(pattern, pattern.firsts() or frozenset(), pattern.needs()) for pattern in patterns]

    def find(self, reading: Reading) -> Iterator[Spot]:
        for pattern, firsts, needs in self._patterns:
            if any(reading.keys.isdisjoint(keys) for keys in needs):
                continue
            starts = {place for key in firsts & reading.keys for place in reading.places[key]}
            for sentence, at in sorted(starts):
                end = pattern.end(reading.sentences[sentence], at, longest=self._longest)
                if end is not None:
                    yield Spot(sentence, at, end)

    def matches(self, reading: Reading) -> bool:
        return next(self.find(reading), None) is not None


class Negation:
    """Denial within a clause: "no fever", "sin fiebre", but not "can not stop vomiting"."""

    def __init__(self, words: WordsFile, compiler: Compiler) -> None:
        self._negators = frozenset(words.negators)
        self._stops = frozenset(words.negation_stops)
        self._not = Matcher(compiler.compile(one) for one in words.not_negators)

    def reaches(self, reading: Reading) -> set[tuple[int, int]]:
        """Every place that is denied."""
        harmless = {(spot.sentence, at) for spot in self._not.find(reading) for at in range(spot.first, spot.last)}
        denied: set[tuple[int, int]] = set()
        for word in self._negators & reading.keys:
            for place in reading.places[word]:
                if place not in harmless:
                    denied.update(self._reach(reading, *place))
        return denied

    def _reach(self, reading: Reading, sentence: int, at: int) -> Iterator[tuple[int, int]]:
        tokens = reading.sentences[sentence]
        left = NEGATION_REACH
        for place in range(at + 1, len(tokens)):
            if left <= 0 or tokens[place].clause != tokens[at].clause or tokens[place].word in self._stops:
                return
            yield sentence, place
            # "no fever or chills": a list goes on being denied
            left = NEGATION_REACH if tokens[place].word in ("or", "nor", "ni", "o") else left - 1


class MedicineBook:
    """What people call their medicines."""

    def __init__(self, content: MedicinesFile, compiler: Compiler) -> None:
        self._groups = {one.id: frozenset((*one.groups, one.id)) for one in content.medicines}
        self._ids = {fold(name): one.id for one in content.medicines for name in (one.id, *one.names)}
        self._named = [
            (one.id, Matcher(compiler.compile(name) for name in (one.id, *one.names))) for one in content.medicines
        ]

    def groups(self, medicines: Iterable[str]) -> frozenset[str]:
        """All groups these medicines belong to; a medicine without an entry belongs to none."""
        return frozenset().union(*(self._groups[one] for one in medicines))

    def on_chart(self, names: Iterable[str]) -> frozenset[str]:
        """The known medicines among the chart's names, which may carry salts or strengths ("lithium carbonate 300")."""
        words = {fold(word) for name in names for word in (name, *name.replace("/", " ").split())}
        return frozenset(self._ids[word] for word in words if word in self._ids)

    def named(self, reading: Reading) -> frozenset[str]:
        """The medicines a message names."""
        return frozenset(one for one, names in self._named if names.matches(reading))
