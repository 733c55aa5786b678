"""What of a row is covered by its HMAC and goes into its leaf, as canonical JSON. Pure: no database, no keys."""

import hashlib
import json
from typing import Any
from uuid import UUID

from telepsych.audit.tree import leaf_hash

COVERED = (
    "version", "id", "at", "actor_id", "on_behalf_of", "label", "roles", "session_id", "action", "about", "patient_id",
    "relation", "purpose", "outcome", "request_id",
)  # fmt: skip


def canonical(value: dict[str, Any]) -> bytes:
    """Canonical JSON (RFC 8785) of a flat object of ASCII names, texts, whole numbers below 2^53 and nulls.

    For these the standard library writes what the RFC asks for, far faster than a library for the general case.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def covered(row: Any) -> dict[str, Any]:
    """What a row's HMAC covers: everything but itself. Ciphertext is covered by its hash."""
    plain = {name: _plain(getattr(row, name)) for name in COVERED}
    plain["touched"] = row.touched.hex()
    plain["detail"] = hashlib.sha256(row.detail).hexdigest() if row.detail else None
    return plain


def entry_of(row: Any) -> dict[str, Any]:
    """What stands in the tree for a row, and in exports: no ciphertext, nothing that opens."""
    return covered(row) | {"mac": row.mac.hex()}


def leaf_of(entry: dict[str, Any]) -> bytes:
    """The leaf hash of an entry."""
    return leaf_hash(canonical(entry))


def bound(index: int, row_id: UUID, leaf: bytes) -> bytes:
    """What a leaf's own HMAC covers."""
    return index.to_bytes(8, "big", signed=True) + row_id.bytes + leaf


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value
