"""The default key provider: a keyring file, readable by its owner alone, apart from the databases and their backups."""

import base64
import json
import os
import secrets
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from telepsych.core.errors import Misconfigured
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.provider import RootKey

NONCE = 12


class _Key(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str = Field(pattern=r"^[0-9a-f]{16}$")
    state: str = Field(pattern=r"^(primary|decrypt-only|disabled)$")
    created_at: int
    material: str = Field(repr=False)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    version: int = Field(1, ge=1, le=1)
    derivation: str = Field(repr=False)
    """Base64 of the secret behind everything that is derived; stays when wrapping keys change."""
    keys: list[_Key] = Field(min_length=1)


@dataclass(frozen=True)
class Keyring:
    """Root keys out of a file."""

    keys: tuple[RootKey, ...]
    _material: dict[str, bytes] = field(repr=False)
    _derivation: bytes = field(repr=False)
    name: str = "keyring"

    def wrap(self, data_key: bytes, context: bytes) -> tuple[str, bytes]:
        root = self.keys[0]
        nonce = secrets.token_bytes(NONCE)
        return root.id, nonce + AESGCM(self._wrapping(root.id)).encrypt(nonce, data_key, context)

    def unwrap(self, root_id: str, wrapped: bytes, context: bytes) -> bytes:
        if root_id not in self._material:
            raise CannotOpen
        try:
            return AESGCM(self._wrapping(root_id)).decrypt(wrapped[:NONCE], wrapped[NONCE:], context)
        except InvalidTag:
            raise CannotOpen from None

    def derive(self, label: str) -> bytes:
        return _hkdf(self._derivation, f"telepsych/derive/{label}")

    def status(self) -> tuple[RootKey, ...]:
        return self.keys

    def _wrapping(self, root_id: str) -> bytes:
        return _hkdf(self._material[root_id], "telepsych/wrap")


def create(path: Path) -> None:
    """Write a new keyring. Raises `Misconfigured` when there is one already: nothing is ever overwritten."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    first = {
        "id": secrets.token_hex(8),
        "state": "primary",
        "created_at": time.time_ns() // 1000,
        "material": _b64(secrets.token_bytes(32)),
    }
    text = json.dumps({"version": 1, "derivation": _b64(secrets.token_bytes(32)), "keys": [first]}, indent=2)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    except FileExistsError:
        raise Misconfigured(f"{path} is there already and is not overwritten.") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def load(path: Path, apart_from: Sequence[Path] = ()) -> Keyring:
    """Read a keyring. Raises `Misconfigured` when it is missing, not ours, readable by others or beside the data."""
    faults = placement_faults(path, apart_from)
    if faults:
        raise Misconfigured(" ".join(faults))
    try:
        read = _File.model_validate_json(path.read_bytes())
        material = {key.id: base64.b64decode(key.material) for key in read.keys if key.state != "disabled"}
        derivation = base64.b64decode(read.derivation)
    except PermissionError:
        raise Misconfigured(f"{path} cannot be read by this user.") from None
    except (ValidationError, ValueError):
        raise Misconfigured(f"{path} is not a keyring of ours.") from None
    order = sorted(read.keys, key=lambda key: key.state != "primary")
    keys = tuple(RootKey(key.id, key.state, key.created_at) for key in order)
    if keys[0].state != "primary" or any(len(one) != 32 for one in (*material.values(), derivation)):
        raise Misconfigured(f"{path} is not a keyring of ours.")
    return Keyring(keys, material, derivation)


def placement_faults(path: Path, apart_from: Sequence[Path] = ()) -> list[str]:
    """What is wrong with where a keyring lies and who may read it, as sentences with a next step."""
    if not path.exists():
        return [f"There is no keyring at {path}. Run `telepsych init`, or bring the keyring of this practice back."]
    faults = []
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        faults.append(f"{path} can be read by others. Run `chmod 0400 {path}`.")
    inside = [folder for folder in apart_from if path.resolve().is_relative_to(folder.resolve())]
    faults.extend(f"{path} lies inside {folder}, beside what it protects. Move it elsewhere." for folder in inside)
    return faults


def _hkdf(secret: bytes, label: str) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=label.encode()).derive(secret)


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
