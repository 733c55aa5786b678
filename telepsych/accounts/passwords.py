"""Passwords: Argon2id over an HMAC with the pepper. Slow on purpose, hence never inside a unit of work."""

import hmac
import re
import threading
import unicodedata
from collections.abc import Iterable
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from telepsych.core.content import config_dir
from telepsych.core.errors import Invalid, Misconfigured
from telepsych.core.words import gettext
from telepsych.crypto.vault import Vault

HASHER = PasswordHasher(time_cost=2, memory_cost=46 * 1024, parallelism=1)
"""OWASP ASVS 5.0 asks for at least 46 MiB at one pass; docs/architecture.md gives the reasons."""
AT_ONCE = threading.BoundedSemaphore(2)
SHORTEST = 15
SHORTEST_WITH_SECOND_FACTOR = 12
LONGEST = 128
COMMON = "accounts/common_passwords.txt"
ROWS = ("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm", "1qaz2wsx3edc4rfv")
"""What fingers run along, forwards or back."""
AROUND = re.compile(r"^[\W\d_]+|[\W\d_]+$")
GAPS = re.compile(r"[\W_]+")
SHORT_UNIT = 6
_dummy: list[str] = []


def check_strength(password: str, *, second_factor: bool, about: Iterable[str] = ()) -> None:
    """Refuse a password that is too short, too long or guessed first. Raises `Invalid`; asks for no mixture of signs.

    Length counts characters. `about` names what others know of the person: their name, address, the practice.
    """
    shortest = SHORTEST_WITH_SECOND_FACTOR if second_factor else SHORTEST
    if len(password) < shortest:
        message = gettext("Please use at least {count} characters. A few words in a row work well.")
        raise Invalid(fields={"password": message.format(count=shortest)})
    if len(password) > LONGEST:
        raise Invalid(fields={"password": gettext("Please use at most 128 characters.")})
    if is_guessed_first(password, about):
        message = gettext("Others would guess this one early. A few words that don't belong together work.")
        raise Invalid(fields={"password": message})


def is_guessed_first(password: str, about: Iterable[str] = ()) -> bool:
    """Whether a password is on the list of common ones, repeats a short piece, runs along the keyboard, or is a common
    or personal word with digits and signs around it."""
    folded = _fold(password)
    known = common() | ({word for text in about for word in _words(text)} - {""})
    core = AROUND.sub("", folded)
    if known & {folded, core, GAPS.sub("", core)}:
        return True
    unit = _unit(folded)
    return len(unit) <= SHORT_UNIT or (unit != folded and unit in known) or _runs(folded)


@cache
def common() -> frozenset[str]:
    """The passwords that are guessed first. Raises `Misconfigured` when the list is missing or not as it says it is."""
    try:
        lines = (config_dir() / COMMON).read_text(encoding="utf-8").splitlines()
    except OSError as problem:
        raise Misconfigured(f"config/{COMMON}: the file is missing") from problem
    words = [line for line in lines if line and not line.startswith("# ")]
    wrong = next((word for word in words if word != _fold(word)), None)
    if wrong is not None or len(words) < 1_000:
        raise Misconfigured(f"config/{COMMON}: the list is short, or holds a word that is not folded")
    return frozenset(words)


def hash_password(vault: Vault, password: str) -> str:
    """The hash to keep."""
    with AT_ONCE:
        return HASHER.hash(_peppered(vault, password))


def is_right(vault: Vault, kept: str | None, password: str) -> bool:
    """Whether the password fits; takes as long when there is no such account (`kept` is None)."""
    if len(password) > LONGEST:
        return False
    nobody = _some_hash(vault)
    with AT_ONCE:
        try:
            return HASHER.verify(kept or nobody, _peppered(vault, password)) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _words(text: str) -> Iterable[str]:
    """A text as a whole, without gaps, and its longer words."""
    folded = _fold(text)
    return [folded, GAPS.sub("", folded), *(word for word in GAPS.split(folded) if len(word) >= 4)]


def _unit(text: str) -> str:
    """The shortest piece that a text repeats from its beginning to its end; the text itself when there is none."""
    for size in range(1, len(text) // 2 + 1):
        if (text[:size] * (len(text) // size + 1))[: len(text)] == text:
            return text[:size]
    return text


def _runs(text: str) -> bool:
    """Whether a text goes on along a row, up or down."""
    bare = GAPS.sub("", text)
    return bool(bare) and any(bare in row * 3 or bare in row[::-1] * 3 for row in ROWS)


def _peppered(vault: Vault, password: str) -> bytes:
    return hmac.digest(vault.derive("pepper"), password.encode(), "sha256")


def _some_hash(vault: Vault) -> str:
    if not _dummy:
        _dummy.append(HASHER.hash(_peppered(vault, "nobody has this password")))
    return _dummy[0]
