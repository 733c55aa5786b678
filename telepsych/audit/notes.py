"""Signed notes and checkpoints as the transparency logs use them (C2SP `signed-note`, `tlog-checkpoint`,
`tlog-cosignature`), with Ed25519. Pure: texts in, texts out.

A note is its text, an empty line, and a line `— name base64(key id, signature)` for each signature.
"""

import base64
import binascii
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PLAIN, COSIGNED = 1, 4
"""Kinds of signature: over the note's text, and over it with the witness's time."""


class BadNote(Exception):
    """Not a note that we can read, or none of its signatures is by the key we trust."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Whose signature to believe."""

    name: str
    public: bytes
    kind: int = PLAIN

    @property
    def id(self) -> bytes:
        """Four bytes that tell keys apart."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        """As it is published: `name+key id+base64`."""
        return f"{self.name}+{self.id.hex()}+{_b64(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read a published key. Raises `BadNote`."""
        try:
            name, key_id, encoded = text.strip().split("+", 2)
            raw = _unb64(encoded)
            key = cls(name, raw[1:], raw[0])
        except (ValueError, IndexError):
            raise BadNote("not a verifier key") from None
        if key.id.hex() != key_id or len(key.public) != 32 or key.kind not in (PLAIN, COSIGNED):
            raise BadNote("not a verifier key of ours")
        return key


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key under a name."""

    name: str
    private: Ed25519PrivateKey
    kind: int = PLAIN

    @classmethod
    def of(cls, name: str, seed: bytes, kind: int = PLAIN) -> "Signer":
        """The signer of a 32-byte secret."""
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed), kind)

    @property
    def key(self) -> VerifierKey:
        return VerifierKey(self.name, self.private.public_key().public_bytes_raw(), self.kind)

    def sign(self, text: str) -> str:
        """The note of a text that ends with a line break."""
        return f"{text}\n{self._line(self.private.sign(text.encode()))}"

    def cosign(self, text: str, seconds: int) -> str:
        """A witness's signature line over a checkpoint's text, with the time at which it was seen."""
        signature = self.private.sign(_cosigned(text, seconds))
        return self._line(struct.pack(">Q", seconds) + signature)

    def _line(self, signature: bytes) -> str:
        return f"— {self.name} {_b64(self.key.id + signature)}\n"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says about itself: its name, how many leaves it has, and the root over them."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read the text of a note. Raises `BadNote`."""
        lines = text.split("\n")
        try:
            origin, size, root = lines[0], int(lines[1]), _unb64(lines[2])
        except (IndexError, ValueError):
            raise BadNote("not a checkpoint") from None
        if not origin or size < 0 or lines[1] != str(size) or len(root) != 32:
            raise BadNote("not a checkpoint")
        return cls(origin, size, root)


def text_of(note: str) -> str:
    """The part of a note that is signed. Raises `BadNote`."""
    text, found, _ = note.rpartition("\n\n")
    if not found:
        raise BadNote("not a note")
    return text + "\n"


def opened(note: str, key: VerifierKey) -> str:
    """The text of a note that this key has signed. Raises `BadNote`."""
    text = text_of(note)
    for raw in _signatures(note, key):
        if key.kind == PLAIN and _is_by(key, raw, text.encode()):
            return text
        if key.kind == COSIGNED and len(raw) > 8 and _is_by(key, raw[8:], _cosigned(text, _seconds(raw))):
            return text
    raise BadNote(f"not signed by {key.name}")


def checkpoint_of(note: str, public: bytes) -> Checkpoint:
    """The checkpoint in a note that its own origin has signed with this public key. Raises `BadNote`."""
    claimed = Checkpoint.parse(text_of(note))
    return Checkpoint.parse(opened(note, VerifierKey(claimed.origin, public)))


def cosigned_at(note: str, key: VerifierKey) -> int:
    """When a witness says it saw a note it has cosigned: Unix seconds. Raises `BadNote`."""
    opened(note, key)
    return _seconds(next(_signatures(note, key)))


def _signatures(note: str, key: VerifierKey) -> Iterator[bytes]:
    for line in note.rpartition("\n\n")[2].splitlines():
        mark, _, rest = line.partition(" ")
        name, _, encoded = rest.rpartition(" ")
        try:
            raw = _unb64(encoded)
        except ValueError:
            continue
        if mark == "—" and name == key.name and raw[:4] == key.id:
            yield raw[4:]


def _is_by(key: VerifierKey, signature: bytes, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _seconds(raw: bytes) -> int:
    return int(struct.unpack(">Q", raw[:8])[0])


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _unb64(text: str) -> bytes:
    """Raises ValueError."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as problem:
        raise ValueError(str(problem)) from None
