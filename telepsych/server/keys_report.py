"""What an operator may know about keys: that they are there, since when, and how many; never a key itself."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from telepsych.core.clock import from_micros
from telepsych.core.errors import Unavailable
from telepsych.crypto import recovery_wraps, reseal, rotation
from telepsych.crypto.keystore import DataKey, reading
from telepsych.crypto.provider import KeyState
from telepsych.crypto.vault import Vault


def report(vault: Vault) -> dict[str, Any]:
    """Root keys, data keys, and what is still to be done. Raises `Unavailable` when the keystore cannot be read."""
    try:
        return _report(vault)
    except (Unavailable, SQLAlchemyError) as problem:
        raise Unavailable("The keystore cannot be read. Run `telepsych doctor`.") from problem


def _report(vault: Vault) -> dict[str, Any]:
    wraps = rotation.wraps_by_root(vault.keystore)
    roots = vault.provider.status()
    opening = {root.id for root in roots if root.state in (KeyState.PRIMARY, KeyState.DECRYPT_ONLY)}
    primary = roots[0].id if roots else ""
    recovery = recovery_wraps.state(vault.keystore)
    return {
        "provider": vault.provider.name,
        "root_keys": [
            {"id": root.id, "state": str(root.state), "created_at": root.created_at, "wraps": wraps.get(root.id, 0)}
            for root in roots
        ],
        "data_keys": _data_keys(vault),
        "pending": {
            "rewrap": sum(count for root, count in wraps.items() if root != primary),
            "reseal": len(reseal.waiting(vault.keystore)),
            "unopenable": sum(count for root, count in wraps.items() if root not in opening),
        },
        "recovery": {"key": recovery.name or None, "missing": recovery.missing},
    }


def _data_keys(vault: Vault) -> dict[str, Any]:
    """Kept and destroyed data keys by kind, with how many of each generation are kept."""
    columns = (DataKey.kind, DataKey.generation, func.count(), func.count(DataKey.destroyed_at))
    with reading(vault.keystore) as session:
        found = session.execute(select(*columns).group_by(DataKey.kind, DataKey.generation)).all()
    kinds: dict[str, Any] = {}
    for kind, generation, count, gone in sorted(found):
        one = kinds.setdefault(kind, {"kept": 0, "destroyed": 0, "generations": {}})
        one["kept"] += count - gone
        one["destroyed"] += gone
        one["generations"][str(generation)] = count - gone
    return kinds


def in_words(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"Provider: {found['provider']}"]
    for root in found["root_keys"]:
        since = from_micros(root["created_at"]).date()
        lines.append(f"  root key {root['id']}: {root['state']}, since {since}, wraps {root['wraps']} data keys")
    for kind, count in sorted(found["data_keys"].items()):
        kept = ", ".join(f"{number} of generation {one}" for one, number in count["generations"].items() if number)
        lines.append(f"  {kind} data keys: {count['kept']} kept ({kept or 'none'}), {count['destroyed']} destroyed")
    lines += [f"  {line}" for line in _to_do(found)]
    return "\n".join(lines)


def _to_do(found: dict[str, Any]) -> list[str]:
    pending, recovery = found["pending"], found["recovery"]
    lines = []
    if pending["rewrap"]:
        lines.append(f"{pending['rewrap']} data keys wait for the primary root key: run `telepsych keys rotate`")
    if pending["reseal"]:
        lines.append(f"{pending['reseal']} new data keys wait for their rows: run `telepsych keys rotate --resume`")
    if pending["unopenable"]:
        lines.append(f"{pending['unopenable']} data keys are wrapped by a root key that is not here")
    if recovery["key"] is None:
        lines.append("there is no recovery key: whoever loses the root key loses everything")
    elif recovery["missing"]:
        lines.append(f"{recovery['missing']} data keys have no copy for the recovery key {recovery['key']}")
    return lines
