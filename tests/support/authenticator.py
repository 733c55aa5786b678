"""A passkey device of our own: makes and shows passkeys as a browser would send them on, and lies where a test asks."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, COULD_SYNC, SYNCED, HAS_KEY = 1, 4, 8, 16, 64


@dataclass
class Lies:
    """What is said otherwise than it is. `flags` is taken from the flags, `more` put into the client data."""

    origin: str = ""
    rp_id: str = ""
    challenge: str = ""
    kind: str = ""
    flags: int = 0
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class Authenticator:
    """One passkey on one device."""

    origin: str = "http://localhost"
    counts: bool = True
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    handle: bytes = b""
    rp_id: str = ""
    count: int = 0
    flags: int = PRESENT | VERIFIED | COULD_SYNC | SYNCED

    def make(self, options: str | dict[str, Any], lies: Lies | None = None) -> str:
        """Answers `navigator.credentials.create()`."""
        asked, lie = _read(options), lies or Lies()
        self.rp_id, self.handle = asked["rp"]["id"], unpacked(asked["user"]["id"])
        said = self._said(asked, "webauthn.create", lie)
        data = self._data(lie, HAS_KEY) + bytes(16) + len(self.id).to_bytes(2, "big") + self.id + self._public()
        made = {"fmt": "none", "attStmt": {}, "authData": data}
        response = {"clientDataJSON": packed(said), "attestationObject": packed(cbor2.dumps(made))}
        return self._answer(response | {"transports": ["internal"]})

    def show(self, options: str | dict[str, Any], lies: Lies | None = None) -> str:
        """Answers `navigator.credentials.get()`."""
        asked, lie = _read(options), lies or Lies()
        self.count += self.counts
        said, data = self._said(asked, "webauthn.get", lie), self._data(lie)
        signature = self.key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        response = {"clientDataJSON": packed(said), "authenticatorData": packed(data), "signature": packed(signature)}
        return self._answer(response | {"userHandle": packed(self.handle)})

    def _said(self, asked: dict[str, Any], kind: str, lie: Lies) -> bytes:
        said = {
            "type": lie.kind or kind,
            "challenge": lie.challenge or asked["challenge"],
            "origin": lie.origin or self.origin,
            "crossOrigin": False,
        }
        return json.dumps(said | lie.more).encode()

    def _data(self, lie: Lies, more: int = 0) -> bytes:
        site = hashlib.sha256((lie.rp_id or self.rp_id).encode()).digest()
        return site + bytes([(self.flags & ~lie.flags) | more]) + self.count.to_bytes(4, "big")

    def _public(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})

    def _answer(self, response: dict[str, Any]) -> str:
        name = packed(self.id)
        return json.dumps(
            {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}
        )


def packed(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def unpacked(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _read(options: str | dict[str, Any]) -> dict[str, Any]:
    return json.loads(options) if isinstance(options, str) else options
