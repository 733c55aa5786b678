"""Reading a message as plain words: what people type, brought to one spelling, with the place each word stood.

Compatibility forms, capitals, accents, apostrophes, drawn-out letters, letters swapped for digits or stars, spaced-out
letters, chat shorthand and emoji all come down to plain words. Nothing here knows what a word means.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = re.compile(
    r"(?P<number>\d+(?:[.,]\d+)*(?![^\W\d_]))"
    r"|(?P<word>[^\W_][\w\u0300-\u036f\u200b-\u200d*@$]*(?:['’`´ʼ][\w\u0300-\u036f]+)*)"
    r"|(?P<emoji>[\u2600-\u27bf\U0001f000-\U0001faff])"
    r"|(?P<stop>[!?]+|\.(?!\.)(?=[\s\"'”)]|$)|\n+)"
    r"|(?P<pause>[,;:()\"“”«»…—–]|\.{2,}|\s-+\s)"
)
_APOSTROPHES = re.compile("['’`´ʼ]")
_INVISIBLE = re.compile("[\u200b-\u200d]")
_DRAWN_OUT = re.compile(r"(.)\1{2,}")
_ABBREVIATIONS = frozenset({"dr", "mr", "mrs", "ms", "st", "vs", "approx", "dra", "sr", "sra"})
_LEET = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s"})
_VOWELS = "aeiou"
_LONGEST = 40
"""Letters in the longest word that is looked at; more is not a word."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word: its plain form, the keys patterns know it by, its number if it is one, and where it stood."""

    word: str
    keys: frozenset[str]
    value: float | None
    start: int
    end: int
    sentence: int
    clause: int


NUMBER_KEY = "#"
"""The key every number carries besides its own figure or word."""
Known = tuple[str, frozenset[str], float | None]
"""A plain word, the keys patterns know it by, and its number if it is one."""


class Lexicon:
    """How words are spelled.

    `expansions` turn shorthand into full words ("wanna" to "want to"), `spellings` a common misspelling into the word
    meant, `emoji` a picture into a word. `fuzzy` words are also understood with one letter wrong, doubled, left out or
    swapped. `vocabulary` holds every key the patterns use, stems with their star.
    """

    def __init__(
        self,
        *,
        expansions: Mapping[str, str],
        spellings: Mapping[str, str],
        emoji: Mapping[str, str],
        numbers: Mapping[str, float],
        fuzzy: Iterable[str],
        vocabulary: Iterable[str],
    ) -> None:
        self.expansions = {short: tuple(full.split()) for short, full in expansions.items()}
        self.spellings, self.emoji, self.numbers = spellings, emoji, numbers
        self._near = {shorter: word for word in sorted(fuzzy) for shorter in _shorter(word)}
        self.vocabulary = frozenset(vocabulary)
        self._stems = frozenset(key[:-1] for key in self.vocabulary if key.endswith("*"))
        self.words_of: Callable[[str], tuple[Known, ...]] = lru_cache(maxsize=20_000)(self._words_of)

    def _words_of(self, raw: str) -> tuple[Known, ...]:
        plain = fold(raw)
        if expanded := self.expansions.get(_APOSTROPHES.sub("'", plain)):
            return tuple(self._known(word) for word in expanded)
        bare = _APOSTROPHES.sub("", plain)
        if expanded := self.expansions.get(bare):
            return tuple(self._known(word) for word in expanded)
        if bare != plain and plain.endswith("s") and bare not in self.vocabulary and bare not in self.spellings:
            bare = bare[:-1]  # the possessive of a noun
        return (self._known(self._respell(bare)),)

    def _known(self, word: str) -> Known:
        stems = (f"{word[:n]}*" for n in range(2, len(word) + 1) if word[:n] in self._stems)
        value = self._number(word)
        return word, frozenset({word, *stems, *((NUMBER_KEY,) if value is not None else ())}), value

    def _number(self, word: str) -> float | None:
        try:
            return float(word.replace(",", ""))
        except ValueError:
            return self.numbers.get(word)

    def _respell(self, word: str) -> str:
        if word in self.vocabulary or word.isdigit() or len(word) > _LONGEST:
            return word
        for form in _guesses(word):
            if form in self.spellings:
                return self.spellings[form]
            if form in self.vocabulary:
                return form
        return self._nearest(word) or word

    def _nearest(self, word: str) -> str | None:
        """The one fuzzy word within a single slip, found by the letters both could have lost."""
        if len(word) < 5 or any(word[:n] in self._stems for n in range(4, len(word) + 1)):
            return None
        for shorter in _shorter(word):
            meant = self._near.get(shorter)
            if meant and one_slip(word, meant):
                return meant
        return None


def fold(raw: str) -> str:
    """Compatibility forms, case, accents and invisible characters removed."""
    if raw.isascii():
        return raw.casefold()
    decomposed = unicodedata.normalize("NFKD", _INVISIBLE.sub("", raw).casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def one_slip(typed: str, meant: str) -> bool:
    """Whether one letter was added, lost, changed or swapped with its neighbour."""
    if typed == meant:
        return True
    if abs(len(typed) - len(meant)) > 1:
        return False
    head = 0
    while head < min(len(typed), len(meant)) and typed[head] == meant[head]:
        head += 1
    one, two = typed[head:], meant[head:]
    swapped = len(one) > 1 and len(two) > 1 and (one[0], one[1]) == (two[1], two[0]) and one[2:] == two[2:]
    return swapped or one[1:] == two[1:] or one[1:] == two or one == two[1:]


def _shorter(word: str) -> set[str]:
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


def _guesses(word: str) -> Iterable[str]:
    """The word itself, then without drawn-out letters, then with digits and stars read as letters."""
    yield word
    if _DRAWN_OUT.search(word):
        yield _DRAWN_OUT.sub(r"\1\1", word)
        yield _DRAWN_OUT.sub(r"\1", word)
    if any(char in "0134578@$" for char in word):
        yield word.translate(_LEET)
    if word.count("*") == 1:
        yield from (word.replace("*", vowel) for vowel in _VOWELS)


def read(text: str, lexicon: Lexicon) -> list[Token]:
    """The words of a message in order. Offsets count characters of the text as it was given."""
    tokens: list[Token] = []
    sentence = clause = 0
    spelled: list[re.Match[str]] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "word" and len(match[0]) == 1 and match[0].isalpha():
            spelled.append(match)
        elif spelled:
            _join(tokens, spelled, lexicon)
            spelled = []
        if kind == "stop" and not _abbreviates(tokens, match[0]):
            sentence, clause = sentence + 1, clause + 1
        elif kind == "pause":
            clause += 1
        elif kind in ("word", "number", "emoji"):
            tokens.extend(_words(match, kind, lexicon, sentence, clause))
    _join(tokens, spelled, lexicon)
    return tokens


def _abbreviates(tokens: list[Token], mark: str) -> bool:
    return mark == "." and bool(tokens) and tokens[-1].word in _ABBREVIATIONS


def _words(match: re.Match[str], kind: str, lexicon: Lexicon, sentence: int, clause: int) -> list[Token]:
    raw = lexicon.emoji.get(match[0], "") if kind == "emoji" else match[0]
    if not raw:
        return []
    start, end = match.span()
    return [Token(*known, start, end, sentence, clause) for known in lexicon.words_of(raw)]


def _join(tokens: list[Token], letters: list[re.Match[str]], lexicon: Lexicon) -> None:
    """Letters typed one by one ("d i e") become the word they spell, in place of the letters."""
    if len(letters) < 3:
        return
    word = fold("".join(letter[0] for letter in letters))
    if word not in lexicon.vocabulary:
        return
    start, end = letters[0].start(), letters[-1].end()
    at = next((index for index, token in enumerate(tokens) if token.start >= start), len(tokens))
    place = tokens[at] if at < len(tokens) else None
    if place is not None:
        tokens[at:] = [Token(*lexicon.words_of(word)[0], start, end, place.sentence, place.clause)]
