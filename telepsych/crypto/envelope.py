"""The envelope: `version(1) | suite(1) | data_key_id(16) | salt(32) | commitment(32) | ciphertext+tag`.

A key of its own for every ciphertext: HKDF-SHA256(data key, salt, label | suite | SHA-256(context)) gives a 32-byte
AES-256-GCM key and a 32-byte commitment to it, so one ciphertext opens under one key only. The context says what the
ciphertext is and where it belongs; it is worked out again when reading and never stored, so a ciphertext moved to
another cell does not open. The AAD is the header up to the salt, then the context. Plaintext is padded
(ISO/IEC 7816-4) so that lengths tell little.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from telepsych.crypto.scopes import Scope

VERSION = 1
SUITE = 1
LABEL = b"telepsych/envelope/1"
SALT_AT, COMMITMENT_AT, BODY_AT = 18, 50, 82
TAG = 16
NONCE = bytes(7) + bytes(4) + b"\x01"
"""STREAM layout: prefix, counter, last-chunk flag. Every ciphertext has a key of its own, so the nonce may be fixed."""
STEP, LARGE_STEP, LARGE = 64, 256, 1024

Part = bytes | str | int | UUID


class CannotOpen(Exception):
    """A ciphertext is not what it should be: altered, cut, moved, of an unknown form, or sealed with another key.

    One error for all of them, and it says nothing about the plaintext. A defect or an attack, hence outside the
    family of expected errors.
    """

    def __init__(self) -> None:
        super().__init__("a sealed value could not be opened")


def context_of(
    scope: Scope, key_id: UUID, table: str, row_id: UUID, row_version: int, extra: Sequence[Part] = ()
) -> bytes:
    """What a ciphertext is bound to, as a length-prefixed tuple."""
    parts: tuple[Part, ...] = (
        *("telepsych", VERSION, SUITE, key_id, scope.kind, scope.owner, scope.compartment),
        *(table, row_id, row_version, *extra),
    )
    packed = (_bytes(part) for part in parts)
    return b"".join(len(one).to_bytes(4) + one for one in packed)


def seal(key: bytes, key_id: UUID, context: bytes, plaintext: bytes, salt: bytes | None = None) -> bytes:
    """Seal under a fresh salt (`salt` is given only by frozen test vectors)."""
    salt = salt or secrets.token_bytes(32)
    header = bytes((VERSION, SUITE)) + key_id.bytes + salt
    record_key, commitment = _derive(key, salt, context)
    body = AESGCM(record_key).encrypt(NONCE, _pad(plaintext), header + context)
    return header + commitment + body


def key_id_of(envelope: bytes) -> UUID:
    """Which data key sealed it. Raises `CannotOpen` when it is no envelope of ours."""
    if len(envelope) < BODY_AT + TAG or envelope[0] != VERSION or envelope[1] != SUITE:
        raise CannotOpen
    return UUID(bytes=bytes(envelope[2:SALT_AT]))


def open_sealed(key: bytes, context: bytes, envelope: bytes) -> bytes:
    """The plaintext. Raises `CannotOpen`, whatever is wrong."""
    key_id_of(envelope)
    header, commitment, body = envelope[:COMMITMENT_AT], envelope[COMMITMENT_AT:BODY_AT], envelope[BODY_AT:]
    record_key, expected = _derive(key, header[SALT_AT:], context)
    if not hmac.compare_digest(commitment, expected):
        raise CannotOpen
    try:
        padded = AESGCM(record_key).decrypt(NONCE, bytes(body), bytes(header) + context)
    except InvalidTag:
        raise CannotOpen from None
    return _unpad(padded)


def _derive(key: bytes, salt: bytes, context: bytes) -> tuple[bytes, bytes]:
    info = LABEL + bytes((SUITE,)) + hashlib.sha256(context).digest()
    both = HKDF(algorithm=hashes.SHA256(), length=64, salt=bytes(salt), info=info).derive(key)
    return both[:32], both[32:]


def _bytes(part: Part) -> bytes:
    if isinstance(part, bytes):
        return b"b" + part
    if isinstance(part, UUID):
        return b"u" + part.bytes
    if isinstance(part, int):
        return b"i" + str(part).encode()
    return b"s" + part.encode()


def _pad(plaintext: bytes) -> bytes:
    marked = plaintext + b"\x80"
    step = STEP if len(marked) <= LARGE else LARGE_STEP
    return marked + bytes(-len(marked) % step)


def _unpad(padded: bytes) -> bytes:
    plaintext, mark, rest = padded.rpartition(b"\x80")
    if not mark or rest.strip(b"\0"):
        raise CannotOpen
    return plaintext
