"""The default key provider: a keyring file, readable by its owner alone, apart from the databases and their backups.

The file is only ever replaced as a whole, and read again when it has changed, so that a new root key reaches running
processes without a restart.
"""

import base64
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from telepsych.core.clock import machine_time
from telepsych.core.errors import Conflict, Misconfigured
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.provider import OPENS, KeyState, RootKey, hkdf, in_order, may_become

NONCE = 12
MODE = 0o400


class _Key(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str = Field(pattern=r"^[0-9a-f]{16}$")
    state: KeyState
    created_at: int
    material: str = Field(repr=False)
    """Base64; empty once the key is destroyed."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    version: int = Field(1, ge=1, le=1)
    derivation: str = Field(repr=False)
    """Base64 of the secret behind everything that is derived; stays when wrapping keys change."""
    keys: list[_Key] = Field(min_length=1)


@dataclass(frozen=True)
class _Held:
    """A keyring as it was when it was read. `stamp` changes with the file."""

    stamp: tuple[int, ...]
    keys: tuple[RootKey, ...]
    wrapping: dict[str, bytes] = field(repr=False)
    derivation: bytes = field(repr=False)


class Keyring:
    """Root keys out of a file."""

    name = "keyring"

    def __init__(self, path: Path, held: _Held) -> None:
        self.path = path
        self._held = held

    def __repr__(self) -> str:
        return f"<Keyring {self.path}>"

    @property
    def keys(self) -> tuple[RootKey, ...]:
        return self._held.keys

    def wrap(self, data_key: bytes, context: bytes) -> tuple[str, bytes]:
        held = self._current()
        root, nonce = held.keys[0].id, secrets.token_bytes(NONCE)
        return root, nonce + AESGCM(held.wrapping[root]).encrypt(nonce, data_key, context)

    def unwrap(self, root_id: str, wrapped: bytes, context: bytes) -> bytes:
        wrapping = self._current().wrapping.get(root_id)
        if wrapping is None or len(wrapped) < NONCE:
            raise CannotOpen
        try:
            return AESGCM(wrapping).decrypt(wrapped[:NONCE], wrapped[NONCE:], context)
        except InvalidTag:
            raise CannotOpen from None

    @property
    def derivation(self) -> bytes:
        return self._held.derivation

    def status(self) -> tuple[RootKey, ...]:
        return self._current().keys

    def add_primary(self, instead_of: str, existing: str = "") -> RootKey:
        def add(file: _File) -> None:
            primary = next(key for key in file.keys if key.state is KeyState.PRIMARY)
            if primary.id != instead_of or primary.id == existing:
                return
            new = _new_key() if not existing else _prepared(file, existing)
            primary.state, new.state = KeyState.DECRYPT_ONLY, KeyState.PRIMARY
            file.keys = [key for key in file.keys if key is not new] + [new]

        self._change(add)
        return self.status()[0]

    def prepare(self) -> RootKey:
        """A new key that only opens for now, to be taken to other hosts before it wraps anything."""
        new = _new_key()
        new.state = KeyState.DECRYPT_ONLY
        self._change(lambda file: file.keys.append(new))
        return next(key for key in self.status() if key.id == new.id)

    def set_state(self, root_id: str, state: KeyState) -> None:
        def set_it(file: _File) -> None:
            found = [key for key in file.keys if key.id == root_id]
            if not found or not may_become(found[0].state, state):
                raise Conflict(f"Root key {root_id} cannot become {state}.")
            found[0].state = state
            if state is KeyState.DESTROYED:
                found[0].material = ""

        self._change(set_it)

    def _change(self, change: Callable[[_File], None]) -> None:
        with _alone(self.path):
            file = _parse(self.path)
            change(file)
            _replace(self.path, file)
            self._held = _read(self.path)

    def _current(self) -> _Held:
        """What the file says now. A file that is away or half there for a moment does not take known keys away."""
        held = self._held
        try:
            if _stamp(self.path) != held.stamp:
                held = self._held = _read(self.path)
        except (OSError, Misconfigured):
            return held
        return held


def create(path: Path, derivation: bytes = b"") -> None:
    """Write a new keyring; after a loss, with the old derivation secret. Raises `Misconfigured` when there is one
    already: nothing is ever overwritten."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = _File(version=1, derivation=_b64(derivation or secrets.token_bytes(32)), keys=[_new_key()])
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    except FileExistsError:
        raise Misconfigured(f"{path} is there already and is not overwritten.") from None
    _write(handle, file)
    settle(path.parent)


def load(path: Path, apart_from: Sequence[Path] = ()) -> Keyring:
    """Read a keyring. Raises `Misconfigured` when it is missing, not ours, readable by others or beside the data."""
    faults = placement_faults(path, apart_from)
    if faults:
        raise Misconfigured(" ".join(faults))
    return Keyring(path, _read(path))


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


def _read(path: Path) -> _Held:
    stamp = _stamp(path)
    file = _parse(path)
    wrong = Misconfigured(f"{path} is not a keyring of ours.")
    try:
        material = {key.id: base64.b64decode(key.material) for key in file.keys if key.state in OPENS}
        derivation = base64.b64decode(file.derivation)
    except ValueError:
        raise wrong from None
    keys = in_order([RootKey(key.id, key.state, key.created_at) for key in file.keys])
    primaries = sum(key.state is KeyState.PRIMARY for key in keys)
    if primaries != 1 or any(len(one) != 32 for one in (*material.values(), derivation)):
        raise wrong
    return _Held(stamp, keys, {name: hkdf(one, "telepsych/wrap") for name, one in material.items()}, derivation)


def _parse(path: Path) -> _File:
    try:
        return _File.model_validate_json(path.read_bytes())
    except PermissionError:
        raise Misconfigured(f"{path} cannot be read by this user.") from None
    except (ValidationError, ValueError):
        raise Misconfigured(f"{path} is not a keyring of ours.") from None


def _stamp(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One changer at a time, among all processes."""
    try:
        handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise Misconfigured(f"{path.parent} cannot be written by this user ({problem.strerror}).") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, file: _File) -> None:
    """Put a new file in the old one's place at once, with the same owner: whoever dies midway has changed nothing."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        before = path.stat()
        if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(handle, before.st_uid, before.st_gid)
    except OSError as problem:
        raise Misconfigured(f"{path} cannot be replaced by this user ({problem.strerror}).") from None
    _write(handle, file)
    os.replace(new, path)
    settle(path.parent)


def _write(handle: int, file: _File) -> None:
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(json.dumps(file.model_dump(mode="json"), indent=2))
        out.flush()
        os.fsync(out.fileno())


def settle(folder: Path) -> None:
    """Make sure that the folder remembers a new name after a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _prepared(file: _File, root_id: str) -> _Key:
    found = [key for key in file.keys if key.id == root_id and key.state is KeyState.DECRYPT_ONLY]
    if not found:
        raise Conflict(f"Root key {root_id} is not one that can become the primary one.")
    return found[0]


def _new_key() -> _Key:
    return _Key(
        id=secrets.token_hex(8),
        state=KeyState.PRIMARY,
        created_at=machine_time(),
        material=_b64(secrets.token_bytes(32)),
    )


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
