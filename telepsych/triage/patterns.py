"""Patterns over words: how a phrase in the content files is written, compiled and found.

    word          that word (patterns are folded like messages: no capitals, accents or apostrophes)
    stem*         any word that starts so
    @name         any entry of a word set of the lexicon
    (a|b c|d)     one of these
    x?            x or nothing (after a word, a set or a bracket)
    ~  ~5         up to three (five) words of any kind
    _             exactly one word of any kind
    #  #3-7       a number, as a figure or a word (within bounds)

A pattern lies within one sentence. Gaps are bounded and positions are kept as sets, so the work grows with the length
of the message and never explodes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from telepsych.triage.text import NUMBER_KEY, Token, fold

_PARTS = re.compile(r"\s*(?:(?P<gap>~\d*)|(?P<number>#(?:[\d.]+-[\d.]+)?)|(?P<mark>[()|?_])|(?P<word>@?[\w'’-]+\*?))")
DEFAULT_GAP = 3
ANY_NUMBER = (float("-inf"), float("inf"))


@dataclass(frozen=True, slots=True)
class Word:
    """One word out of these keys."""

    keys: frozenset[str]

    def ends(self, tokens: Sequence[Token], starts: set[int]) -> set[int]:
        return {at + 1 for at in starts if at < len(tokens) and not self.keys.isdisjoint(tokens[at].keys)}


@dataclass(frozen=True, slots=True)
class Number:
    """A number within bounds, both included."""

    low: float
    high: float

    def ends(self, tokens: Sequence[Token], starts: set[int]) -> set[int]:
        return {at + 1 for at in starts if at < len(tokens) and self._within(tokens[at].value)}

    def _within(self, value: float | None) -> bool:
        return value is not None and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Gap:
    """Between `least` and `most` words of any kind."""

    least: int
    most: int

    def ends(self, tokens: Sequence[Token], starts: set[int]) -> set[int]:
        return {at + n for at in starts for n in range(self.least, self.most + 1) if at + n <= len(tokens)}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several sequences; `optional` also takes none."""

    options: tuple["Pattern", ...]
    optional: bool = False

    def ends(self, tokens: Sequence[Token], starts: set[int]) -> set[int]:
        found = set(starts) if self.optional else set[int]()
        for option in self.options:
            found |= option.ends(tokens, starts)
        return found


Node = Word | Number | Gap | Choice


@dataclass(frozen=True, slots=True)
class Pattern:
    """A sequence to look for."""

    nodes: tuple[Node, ...]

    def ends(self, tokens: Sequence[Token], starts: set[int]) -> set[int]:
        for node in self.nodes:
            starts = node.ends(tokens, starts)
            if not starts:
                break
        return starts

    def firsts(self) -> frozenset[str] | None:
        """Keys the first word may have; None when any word may come first."""
        keys: set[str] = set()
        for node in self.nodes:
            first, optional = _first(node)
            if first is None:
                return None
            keys |= first
            if not optional:
                return frozenset(keys)
        return frozenset(keys)

    def needs(self) -> tuple[frozenset[str], ...]:
        """For each word that must be there, the keys it may have. A message without them cannot match."""
        return tuple(node.keys for node in self.nodes if isinstance(node, Word))

    def words(self) -> set[str]:
        """Every key the pattern uses."""
        found: set[str] = set()
        for node in self.nodes:
            if isinstance(node, Word):
                found |= node.keys
            elif isinstance(node, Choice):
                found.update(*(option.words() for option in node.options))
        return found

    def end(self, tokens: Sequence[Token], start: int, *, longest: bool = False) -> int | None:
        """One past its last word when it stands at `start` of a sentence; the nearest end, or the farthest."""
        ends = self.ends(tokens, {start}) - {start}
        if not ends:
            return None
        return max(ends) if longest else min(ends)


def _first(node: Node) -> tuple[set[str] | None, bool]:
    if isinstance(node, Word):
        return set(node.keys), False
    if isinstance(node, Number):
        return {NUMBER_KEY}, False
    if isinstance(node, Choice):
        keys: set[str] = set()
        for option in node.options:
            option_keys = option.firsts()
            if option_keys is None:
                return None, False
            keys |= option_keys
        return keys, node.optional
    return None, False


class Compiler:
    """Turns written patterns into `Pattern`s, knowing the word sets. Raises ValueError that quotes the pattern."""

    def __init__(self, sets: Mapping[str, Sequence[str]], expansions: Mapping[str, tuple[str, ...]]) -> None:
        self._written = sets
        self._expansions = expansions
        self._sets: dict[str, Node] = {}

    def compile(self, written: str) -> Pattern:
        parts = self._split(written)
        sequence = self._sequence(parts, written)
        if parts:
            raise ValueError(f"{written!r}: a bracket too many")
        if not sequence.nodes:
            raise ValueError(f"{written!r}: says nothing")
        if sequence.firsts() is None:
            raise ValueError(f"{written!r}: begins with a gap; begin with a word")
        return sequence

    def _sequence(self, parts: list[str], written: str) -> Pattern:
        nodes: list[Node] = []
        while parts and parts[0] not in ("|", ")"):
            part = parts.pop(0)
            if part == "?":
                nodes.append(_optional(nodes.pop() if nodes else None, written))
            else:
                nodes.append(self._choice(parts, written) if part == "(" else self._node(part, written))
        return Pattern(tuple(nodes))

    def _choice(self, parts: list[str], written: str) -> Node:
        options = [self._sequence(parts, written)]
        while parts and parts[0] == "|":
            parts.pop(0)
            options.append(self._sequence(parts, written))
        if not parts:
            raise ValueError(f"{written!r}: a bracket is not closed")
        parts.pop(0)
        if any(not option.nodes for option in options):
            raise ValueError(f"{written!r}: an empty choice")
        return one_of(options)

    def _node(self, part: str, written: str) -> Node:
        if part.startswith("~"):
            return Gap(0, int(part[1:] or DEFAULT_GAP))
        if part.startswith("#"):
            return Number(*_bounds(part[1:]))
        if part == "_":
            return Gap(1, 1)
        return self._set(part[1:], written) if part.startswith("@") else Word(frozenset({part}))

    def _set(self, name: str, written: str) -> Node:
        if name not in self._written:
            raise ValueError(f"{written!r}: no word set is called {name}")
        if name not in self._sets:
            self._sets[name] = one_of([self.compile(entry) for entry in self._written[name]])
        return self._sets[name]

    def _split(self, written: str) -> list[str]:
        parts: list[str] = []
        at, written = 0, written.strip()
        while at < len(written):
            match = _PARTS.match(written, at)
            if match is None:
                raise ValueError(f"{written!r}: cannot read {written[at:]!r}")
            part = match[0].strip()
            parts.extend(self._words(part) if match.lastgroup == "word" else [part])
            at = match.end()
        return parts

    def _words(self, part: str) -> Iterator[str]:
        """Shorthand is written out as it is in messages, so that "can't" in a pattern is "can not"."""
        for word in fold(part).split("-"):
            plain = word.replace("’", "'")
            yield from self._expansions.get(plain, (plain.replace("'", ""),))


def one_of(options: Sequence[Pattern]) -> Node:
    """The choice between sequences; all the single words in it as one set, which is quicker."""
    single = [node for option in options if len(option.nodes) == 1 and isinstance(node := option.nodes[0], Word)]
    longer = tuple(option for option in options if not (len(option.nodes) == 1 and isinstance(option.nodes[0], Word)))
    word = Word(frozenset().union(*(node.keys for node in single)))
    if not longer:
        return word
    return Choice((Pattern((word,)), *longer) if single else longer)


def _optional(node: Node | None, written: str) -> Node:
    if node is None or isinstance(node, Gap):
        raise ValueError(f"{written!r}: nothing there to make optional")
    return Choice((Pattern((node,)),), optional=True)


def _bounds(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    return (float(low), float(high)) if text else ANY_NUMBER
