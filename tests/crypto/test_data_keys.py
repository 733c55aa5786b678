"""Data keys: destroyed for good within seconds, remembered for minutes, and never a salt twice, forks included."""

import os
from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from telepsych.core.errors import Unavailable
from telepsych.core.work import Practice
from telepsych.crypto import data_keys, vault
from telepsych.crypto.envelope import COMMITMENT_AT, SALT_AT, CannotOpen
from telepsych.crypto.key_cache import KeyCache
from telepsych.crypto.keystore import DataKey, KeyEvent, KeyWrap, epoch_of, move_epoch, reading, writing
from telepsych.crypto.scopes import Scope, patient_scope, user_scope
from telepsych.crypto.vault import BLIND_BYTES, CACHED_FOR, LOOK_EVERY, Vault


class Hands:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        return self.at


class Away:
    """A key provider that may be away."""

    def __init__(self, provider: object) -> None:
        self._provider = provider
        self.is_away = False
        self.asked = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._provider, name)

    def wrap(self, data_key: bytes, context: bytes) -> tuple[str, bytes]:
        self._ask()
        return self._provider.wrap(data_key, context)  # type: ignore[attr-defined,no-any-return]

    def unwrap(self, root_id: str, wrapped: bytes, context: bytes) -> bytes:
        self._ask()
        return self._provider.unwrap(root_id, wrapped, context)  # type: ignore[attr-defined,no-any-return]

    def _ask(self) -> None:
        self.asked += 1
        if self.is_away:
            raise Unavailable


def sealed(vault: Vault, scope: Scope, row: object) -> bytes:
    return vault.seal(scope, "fact", row, 1, b"private")  # type: ignore[arg-type]


def test_a_destroyed_key_opens_nothing_anywhere_within_seconds(practice: Practice) -> None:
    hands, row, scope = Hands(), uuid4(), patient_scope(uuid4())
    elsewhere = Vault(practice.vault.provider, practice.vault.keystore, hands)
    kept = sealed(practice.vault, scope, row)
    spared = sealed(practice.vault, patient_scope(uuid4()), row)
    assert elsewhere.open(scope, "fact", row, 1, kept) == b"private"
    gone = data_keys.destroy(practice.vault, scope)
    assert len(gone) == 1
    with pytest.raises(CannotOpen):
        practice.vault.open(scope, "fact", row, 1, kept)
    hands.at += LOOK_EVERY + 0.1
    with pytest.raises(CannotOpen):
        elsewhere.open(scope, "fact", row, 1, kept)
    with pytest.raises(CannotOpen):
        sealed(elsewhere, scope, row)
    assert data_keys.destroy(practice.vault, scope) == ()
    assert len(spared) == len(kept)
    with reading(practice.vault.keystore) as session:
        acts = session.execute(select(KeyEvent.act, KeyEvent.outcome, KeyEvent.data_key_id)).all()
        assert session.scalar(select(func.count()).select_from(KeyWrap).where(KeyWrap.data_key_id == gone[0])) == 0
        assert session.get_one(DataKey, gone[0]).destroyed_at
    assert sorted(acts) == [("shred", "done", gone[0]), ("shred", "intended", gone[0])]


def test_destroying_that_was_stopped_goes_on(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = patient_scope(uuid4())
    sealed(practice.vault, scope, uuid4())
    with monkeypatch.context() as broken:
        broken.setattr(data_keys, "_settle", lambda *_: 1 / 0)
        broken.setattr(data_keys, "finish", stop_after_one(data_keys.finish))
        with pytest.raises(ZeroDivisionError):
            data_keys.destroy(practice.vault, scope)
    assert len(data_keys.unfinished(practice.vault.keystore, "shred")) == 1
    data_keys.destroy(practice.vault, scope)
    assert data_keys.unfinished(practice.vault.keystore, "shred") == []


def stop_after_one(act: Callable[..., None]) -> Callable[..., None]:
    """Leaves intent rows, but no outcome."""
    return lambda keystore, name, ids, outcome="done": (
        act(keystore, name, ids, outcome) if outcome == data_keys.INTENDED else None
    )


def test_what_was_looked_up_before_a_flush_is_not_remembered_after_it() -> None:
    cache: KeyCache[str, int] = KeyCache(10, 2, lambda: 0.0)
    turn = cache.turn
    cache.flush()
    cache.keep("stale", 1, turn)
    assert cache.get("stale") is None
    for at in range(4):
        cache.keep(str(at), at, cache.turn)
    assert [cache.get(str(at)) for at in range(4)] == [None, None, 2, 3]


def test_a_provider_that_is_away_ten_minutes_is_503_after_five_and_recovers(practice: Practice) -> None:
    """K10: what is known serves until its time is over; then nothing opens and nothing is saved, nor ever in clear."""
    hands, provider = Hands(), Away(practice.vault.provider)
    mine = Vault(provider, practice.vault.keystore, hands)  # type: ignore[arg-type]
    scope, row = patient_scope(uuid4()), uuid4()
    kept = sealed(mine, scope, row)
    mine.derive("pepper")
    provider.is_away = True
    began, asked = hands.at, provider.asked
    while hands.at < began + CACHED_FOR - 1:
        assert mine.open(scope, "fact", row, 1, kept) == b"private"
        assert b"private" not in sealed(mine, scope, row)
        hands.at += 20
    assert provider.asked == asked
    with pytest.raises(Unavailable):
        sealed(mine, patient_scope(uuid4()), row)
    hands.at = began + CACHED_FOR + 1
    while hands.at < began + 600:
        for act in (lambda: mine.open(scope, "fact", row, 1, kept), lambda: sealed(mine, scope, row)):
            with pytest.raises(Unavailable) as caught:
                act()
            assert (caught.value.status, caught.value.kind) == (503, "unavailable")
        hands.at += 60
    assert mine.derive("pepper") == practice.vault.derive("pepper")
    provider.is_away = False
    assert mine.open(scope, "fact", row, 1, kept) == b"private"
    assert mine.open(scope, "fact", row, 1, sealed(mine, scope, row)) == b"private"


def test_a_keystore_that_is_away_leaves_known_keys_in_use(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands()
    mine, scope, row = Vault(practice.vault.provider, practice.vault.keystore, hands), patient_scope(uuid4()), uuid4()
    kept = sealed(mine, scope, row)

    def away(_keystore: object) -> int:
        raise Unavailable

    monkeypatch.setattr(vault, "epoch_of", away)
    hands.at += CACHED_FOR - 10
    assert mine.open(scope, "fact", row, 1, kept) == b"private"


def test_a_process_remembers_so_many_keys_and_no_more(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "MOST_CACHED", 5)
    provider = Away(practice.vault.provider)
    mine, row = Vault(provider, practice.vault.keystore), uuid4()  # type: ignore[arg-type]
    scopes = [user_scope(uuid4()) for _ in range(8)]
    kept = [sealed(mine, scope, row) for scope in scopes]
    before = provider.asked
    for scope, one in list(zip(scopes, kept, strict=True))[-5:]:
        mine.open(scope, "fact", row, 1, one)
    assert provider.asked == before
    mine.open(scopes[0], "fact", row, 1, kept[0])
    assert provider.asked == before + 1


@pytest.mark.parametrize("template", ["sqlite"], indirect=True)
def test_salts_never_repeat_over_forked_workers(practice: Practice) -> None:
    """K11, small form: a vault that was used before the fork. The large one: `benchmarks/salts.py`."""
    scope, row = patient_scope(uuid4()), uuid4()
    salts = [sealed(practice.vault, scope, row)[SALT_AT:COMMITMENT_AT]]
    workers = []
    for _ in range(4):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            with os.fdopen(write, "wb") as out:
                for _ in range(25_000):
                    out.write(sealed(practice.vault, scope, row)[SALT_AT:COMMITMENT_AT])
            os._exit(0)
        os.close(write)
        workers.append((child, read))
    for child, read in workers:
        with os.fdopen(read, "rb") as given:
            data = given.read()
        assert os.waitpid(child, 0)[1] == 0
        salts += [data[at : at + 32] for at in range(0, len(data), 32)]
    assert len(salts) == 100_001
    assert len(set(salts)) == len(salts)


def test_blind_indexes_are_whole_and_coincide_as_computed(practice: Practice) -> None:
    """K12: there are no truncated indexes whose coincidences would have to be sized (2 <= C < sqrt(R)); the only kind,
    128 bits over an address, is so long that two different addresses practically never meet."""
    assert len(practice.vault.blind("email", "juniper@example.org").value) == BLIND_BYTES
    rows = 1_000_000
    expected = rows * (rows - 1) / 2 / 2 ** (8 * BLIND_BYTES)
    assert expected < 1e-20
    several = {practice.vault.blind("email", f"person-{number}@example.org").value for number in range(2_000)}
    assert len(several) == 2_000


def test_the_epoch_moves_once_for_each_act(practice: Practice) -> None:
    before = epoch_of(practice.vault.keystore)
    for _ in range(3):
        with writing(practice.vault.keystore) as session:
            move_epoch(session)
    assert epoch_of(practice.vault.keystore) == before + 3
