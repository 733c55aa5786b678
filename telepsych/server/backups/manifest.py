"""The signed list of what a backup holds. It lies beside each of the three files and says nothing about people.

Signed (Ed25519) with a key derived for this purpose alone. The fingerprint of that key is part of the printed shares,
so a backup that somebody else made up is found out even when everything else of the practice is lost.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from telepsych.core.errors import Invalid
from telepsych.crypto.vault import Vault
from telepsych.server.backups import sealed_file

PURPOSE = "backup-sign"
FINGERPRINT = 8
SUFFIX = ".manifest.json"
PARTS = ("records", "keystore", "keyring")
LARGEST = 64 * 1024 * 1024


class Part(BaseModel):
    """One file of a backup."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(pattern=r"^[0-9A-Za-z-]+\.(records|keystore|keyring)$")
    size: int
    sha256: str
    kind: str = ""
    """`sqlite` or `postgresql`; empty for a keyring."""
    revision: str = ""
    tables: dict[str, int] = Field(default_factory=dict)
    """Rows in each table."""


class Manifest(BaseModel):
    """What a backup says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: int = Field(1, ge=1, le=1)
    id: str = Field(pattern=r"^[0-9A-Za-z-]+$")
    at: int
    """When the records were as they are in it."""
    recovery_key: str
    parts: dict[str, Part]
    destroyed: tuple[UUID, ...] = ()
    """Data keys that were destroyed by then: a restore from an older keystore must not bring them back."""
    checkpoint: str | None = None
    """The audit trail's newest signed checkpoint; none before there is one."""
    signer: str
    """The public key that signed, base64."""

    @property
    def fingerprint(self) -> bytes:
        return fingerprint(base64.b64decode(self.signer))

    def context(self, part: str) -> str:
        """What a part's ciphertext is bound to."""
        return f"telepsych/backup/{self.id}/{part}"


def signer_of(vault: Vault) -> Ed25519PrivateKey:
    """The practice's key for manifests."""
    return Ed25519PrivateKey.from_private_bytes(vault.derive(PURPOSE))


def signer_name(vault: Vault) -> bytes:
    """The fingerprint that goes on the shares."""
    return fingerprint(signer_of(vault).public_key().public_bytes_raw())


def fingerprint(public: bytes) -> bytes:
    """How a signing key is named on paper."""
    return hashlib.sha256(public).digest()[:FINGERPRINT]


def save(manifest: Manifest, key: Ed25519PrivateKey, folder: Path) -> None:
    """Sign and keep beside a file of the backup."""
    plain = manifest.model_dump(mode="json")
    signature = base64.b64encode(key.sign(_signed(plain))).decode()
    with sealed_file.whole(folder / f"{manifest.id}{SUFFIX}") as file:
        file.write(json.dumps({"manifest": plain, "signature": signature}, indent=1).encode())


def read(place: Path, signer: bytes) -> Manifest:
    """A manifest, if its signature is right and by the key of this fingerprint. Raises `Invalid`."""
    try:
        if place.stat().st_size > LARGEST:
            raise Invalid(f"{place.name} is no manifest.")
        found = json.loads(place.read_bytes())
        manifest = Manifest.model_validate(found["manifest"])
        signature, public = base64.b64decode(found["signature"]), base64.b64decode(manifest.signer)
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _signed(manifest.model_dump(mode="json")))
    except OSError as problem:
        raise Invalid(f"The manifest {place} cannot be read ({problem.strerror}).") from None
    except (ValueError, KeyError, TypeError, ValidationError, InvalidSignature):
        raise Invalid(f"The manifest {place.name} was altered: its signature is wrong.") from None
    if signer and manifest.fingerprint != signer:
        raise Invalid(f"The manifest {place.name} was not signed by this practice.")
    return manifest


def beside(file: Path) -> Path:
    """The manifest that belongs to a file of a backup."""
    return file.with_name(file.stem + SUFFIX)


def all_in(folder: Path, signer: bytes) -> Iterator[Manifest]:
    """The practice's manifests in a folder, oldest first. What is not genuine is left out."""
    for place in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            yield read(place, signer)
        except Invalid:
            continue


def _signed(plain: dict[str, Any]) -> bytes:
    return b"telepsych/backup-manifest/1\n" + rfc8785.dumps(plain)
