"""Passwords: Argon2id over an HMAC with the pepper. Slow on purpose, hence never inside a unit of work."""

import hmac
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from telepsych.core.errors import Invalid
from telepsych.core.words import gettext
from telepsych.crypto.vault import Vault

HASHER = PasswordHasher(time_cost=2, memory_cost=46 * 1024, parallelism=1)
"""OWASP ASVS 5.0 asks for at least 46 MiB at one pass; docs/architecture.md gives the reasons."""
AT_ONCE = threading.BoundedSemaphore(2)
SHORTEST = 15
SHORTEST_WITH_SECOND_FACTOR = 12
LONGEST = 128
_dummy: list[str] = []


def check_strength(password: str, *, second_factor: bool) -> None:
    """Refuse a password that is too short or too long. Raises `Invalid`; counts characters, asks for no mixture."""
    shortest = SHORTEST_WITH_SECOND_FACTOR if second_factor else SHORTEST
    if len(password) < shortest:
        message = gettext("Please use at least {count} characters. A few words in a row work well.")
        raise Invalid(fields={"password": message.format(count=shortest)})
    if len(password) > LONGEST:
        raise Invalid(fields={"password": gettext("Please use at most 128 characters.")})


def hash_password(vault: Vault, password: str) -> str:
    """The hash to keep."""
    with AT_ONCE:
        return HASHER.hash(_peppered(vault, password))


def is_right(vault: Vault, kept: str | None, password: str) -> bool:
    """Whether the password fits; takes as long when there is no such account (`kept` is None)."""
    if len(password) > LONGEST:
        return False
    with AT_ONCE:
        try:
            return HASHER.verify(kept or _some_hash(vault), _peppered(vault, password)) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def _peppered(vault: Vault, password: str) -> bytes:
    return hmac.digest(vault.derive("pepper"), password.encode(), "sha256")


def _some_hash(vault: Vault) -> str:
    if not _dummy:
        _dummy.append(HASHER.hash(_peppered(vault, "nobody has this password")))
    return _dummy[0]
