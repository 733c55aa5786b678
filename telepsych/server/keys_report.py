"""What an operator may know about keys: that they are there, since when, and how many; never a key itself."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from telepsych.core.clock import from_micros
from telepsych.core.errors import Unavailable
from telepsych.crypto.keystore import DataKey, KeyWrap
from telepsych.crypto.vault import Vault


def report(vault: Vault) -> dict[str, Any]:
    """Root keys of the provider, and data keys by kind. Raises `Unavailable` when the keystore cannot be read."""
    by_kind = select(DataKey.kind, func.count(), func.count(DataKey.destroyed_at)).group_by(DataKey.kind)
    by_root = select(KeyWrap.recipient_id, func.count()).where(KeyWrap.recipient == "root")
    try:
        with vault.keystore.connect() as connection:
            kinds = connection.execute(by_kind).all()
            found = connection.execute(by_root.group_by(KeyWrap.recipient_id)).all()
    except SQLAlchemyError as problem:
        raise Unavailable("The keystore cannot be read. Run `telepsych doctor`.") from problem
    wraps = {root: count for root, count in found}
    return {
        "provider": vault.provider.name,
        "root_keys": [
            {"id": root.id, "state": root.state, "created_at": root.created_at, "wraps": wraps.get(root.id, 0)}
            for root in vault.provider.status()
        ],
        "data_keys": {kind: {"kept": count - gone, "destroyed": gone} for kind, count, gone in kinds},
    }


def in_words(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"Provider: {found['provider']}"]
    for root in found["root_keys"]:
        since = from_micros(root["created_at"]).date()
        lines.append(f"  root key {root['id']}: {root['state']}, since {since}, wraps {root['wraps']} data keys")
    for kind, count in sorted(found["data_keys"].items()):
        lines.append(f"  {kind} data keys: {count['kept']} kept, {count['destroyed']} destroyed")
    return "\n".join(lines)
