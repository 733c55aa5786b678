"""The recovery key: made once, kept offline by three people, of whom any two can bring the practice back.

The public half stays with the practice and seals (HPKE, RFC 9180); only two of the three printed shares open. The key
encapsulation is the hybrid of ML-KEM-768 and X25519 known as X-Wing, so that what is sealed today stays sealed when
either of the two is broken. The private half is one seed of 32 bytes, spread as X-Wing prescribes, and that seed is
what is split.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey, Suite

from telepsych.core.errors import Invalid
from telepsych.crypto import shamir
from telepsych.crypto.envelope import CannotOpen

SUITE_ID = 1
SUITE_NAME = "HPKE, ML-KEM-768 with X25519, HKDF-SHA256, AES-256-GCM"
HPKE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
KEM_PUBLIC, X_PUBLIC, SEED = 1184, 32, 32
NEEDED, MADE = 2, 3
"""How many shares there are, and how many of them bring the key back."""

SHARE_VERSION = 1
MARK, NAME, CHECK = 8, 4, 4
SHARE_BYTES = 1 + NAME + MARK + 1 + SEED + CHECK
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U, so that a hand-written share has one reading."""
STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
GROUP = 4
GROUPS = SHARE_BYTES * 8 // 5 // GROUP


@dataclass(frozen=True, slots=True)
class RecoveryKey:
    """The private half, for as long as a ceremony lasts."""

    seed: bytes = field(repr=False)
    signer: bytes = b""
    """The fingerprint of the key that signs this practice's backups, as the shares say it; may be empty."""

    @property
    def public(self) -> bytes:
        key = _private(self.seed)
        return bytes((SUITE_ID,)) + key[0].public_key().public_bytes_raw() + key[1].public_key().public_bytes_raw()

    @property
    def id(self) -> str:
        return recovery_id(self.public)

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """What was sealed to the public half for this purpose. Raises `CannotOpen`."""
        if not sealed or sealed[0] != SUITE_ID:
            raise CannotOpen
        try:
            return HPKE.decrypt(bytes(sealed[1:]), MLKEM768X25519PrivateKey(*_private(self.seed)), info)
        except (InvalidTag, ValueError):
            raise CannotOpen from None


def new_recovery_key(signer: bytes = b"") -> tuple[bytes, list[str]]:
    """A new key: its public half, and the three shares to print. The private half is kept nowhere.

    `signer` is the fingerprint of the practice's signing key (eight bytes); with it on paper, a backup that somebody
    else made up and sealed to the public half is found out.
    """
    key = RecoveryKey(secrets.token_bytes(SEED), signer)
    parts = shamir.split(key.seed, NEEDED, MADE)
    return key.public, [_printed(key, number, part) for number, part in parts.items()]


def recovery_id(public: bytes) -> str:
    """The name of a recovery key: the beginning of the hash of its public half."""
    return hashlib.sha256(public).hexdigest()[:16]


def seal_to(public: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Seal for the holders of the shares; `info` binds it to its purpose. Raises `CannotOpen` for an odd key."""
    if len(public) != 1 + KEM_PUBLIC + X_PUBLIC or public[0] != SUITE_ID:
        raise CannotOpen
    kem = MLKEM768PublicKey.from_public_bytes(public[1 : 1 + KEM_PUBLIC])
    curve = X25519PublicKey.from_public_bytes(public[1 + KEM_PUBLIC :])
    return bytes((SUITE_ID,)) + HPKE.encrypt(plaintext, MLKEM768X25519PublicKey(kem, curve), info)


def join(shares: Sequence[str]) -> RecoveryKey:
    """The key behind two shares or more. Raises `Invalid` that says which share, and which group, is wrong."""
    read = [_read(number, text) for number, text in enumerate(shares, 1)]
    if len({share.name for share in read}) > 1 or len({share.signer for share in read}) > 1:
        raise Invalid("These shares belong to different recovery keys. Take two of the same sheet.")
    parts = {share.number: share.part for share in read}
    if len(parts) < NEEDED:
        raise Invalid(f"Two different shares are needed; {len(parts)} was given.")
    signer = read[0].signer if any(read[0].signer) else b""
    key = RecoveryKey(shamir.join(parts), signer)
    if not hmac.compare_digest(_name(key.public), read[0].name):
        raise Invalid("These shares do not give the recovery key back. One of them was altered.")
    return key


@dataclass(frozen=True, slots=True)
class _Share:
    number: int
    part: bytes = field(repr=False)
    name: bytes
    signer: bytes


def _private(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    spread = hashlib.shake_256(seed).digest(96)
    return MLKEM768PrivateKey.from_seed_bytes(spread[:64]), X25519PrivateKey.from_private_bytes(spread[64:])


def _name(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()[:NAME]


def _printed(key: RecoveryKey, number: int, part: bytes) -> str:
    """`version | name of the key | signer | number | part | check`, in groups of four letters and one to check them."""
    body = bytes((SHARE_VERSION,)) + _name(key.public) + key.signer.ljust(MARK, b"\0")[:MARK] + bytes((number,)) + part
    raw = body + _check(body)
    text = base64.b32encode(raw).decode().translate(str.maketrans(STANDARD, LETTERS))
    groups = [text[at : at + GROUP] for at in range(0, len(text), GROUP)]
    return "-".join(group + _letter(place, group) for place, group in enumerate(groups))


def _read(which: int, text: str) -> _Share:
    letters = "".join(text.split()).replace("-", "").upper().translate(str.maketrans("OIL", "011"))
    strange = sorted(set(letters) - set(LETTERS))
    if strange:
        raise Invalid(f"Share {which}: “{strange[0]}” is in no share. Please read it again.")
    groups = [letters[at : at + GROUP + 1] for at in range(0, len(letters), GROUP + 1)]
    if len(letters) != GROUPS * (GROUP + 1):
        sentence = f"Share {which}: a share has {GROUPS} groups of five letters; this one has {len(letters)} letters"
        raise Invalid(f"{sentence} instead of {GROUPS * (GROUP + 1)}.")
    wrong = [place + 1 for place, group in enumerate(groups) if group[GROUP] != _letter(place, group[:GROUP])]
    if wrong:
        raise Invalid(
            f"Share {which}: group {', '.join(map(str, wrong))} is mistyped. Please compare it with the sheet."
        )
    raw = _bytes("".join(group[:GROUP] for group in groups))
    if raw[0] != SHARE_VERSION or not hmac.compare_digest(_check(raw[:-CHECK]), raw[-CHECK:]):
        raise Invalid(f"Share {which} is mistyped in more than one place. Please read it again from the start.")
    at = 1 + NAME + MARK
    return _Share(raw[at], raw[at + 1 : -CHECK], raw[1 : 1 + NAME], raw[1 + NAME : at])


def _bytes(letters: str) -> bytes:
    try:
        return base64.b32decode(letters.translate(str.maketrans(LETTERS, STANDARD)))
    except binascii.Error:
        raise Invalid("This is not a share.") from None


def _check(body: bytes) -> bytes:
    return hashlib.sha256(b"telepsych/share" + body).digest()[:CHECK]


def _letter(place: int, group: str) -> str:
    return LETTERS[hashlib.sha256(f"{place}/{group}".encode()).digest()[0] & 31]
