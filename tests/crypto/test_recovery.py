"""The recovery key: its shares, what is sealed to it, and the day the keyring is lost."""

import hashlib
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session
from support.cast import Cast
from support.practice import build_practice

from telepsych.accounts import service as accounts
from telepsych.core.actor import command
from telepsych.core.errors import Invalid, Misconfigured
from telepsych.core.ids import new_id
from telepsych.core.work import Practice
from telepsych.crypto import recovery, recovery_wraps, shamir
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.keystore import DataKey, KeyWrap
from telepsych.crypto.recovery import RecoveryKey
from telepsych.crypto.scopes import patient_scope

INFO = b"test"


# The field and the shares


def test_the_field_is_the_one_of_aes() -> None:
    """Products from FIPS 197, section 4.2."""
    assert shamir.multiply(0x57, 0x83) == 0xC1
    assert shamir.multiply(0x57, 0x13) == 0xFE
    assert all(shamir.divide(shamir.multiply(a, b), b) == a for a in range(256) for b in range(1, 256))


@given(st.binary(min_size=1, max_size=40), st.integers(2, 5), st.data())
def test_any_threshold_of_shares_gives_the_secret_back(secret: bytes, threshold: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(threshold, 8))
    shares = shamir.split(secret, threshold, count)
    chosen = data.draw(st.permutations(sorted(shares)))[: data.draw(st.integers(threshold, count))]
    assert shamir.join({x: shares[x] for x in chosen}) == secret


def test_one_share_alone_says_nothing() -> None:
    """Whatever the share's value, every secret is behind it exactly once (over all lines through the field)."""
    for x in (1, 2, 3):
        behind = Counter((shamir.multiply(slope, x) ^ secret) for secret in range(256) for slope in range(256))
        assert set(behind.values()) == {256}
        per_secret = {secret: {shamir.multiply(s, x) ^ secret for s in range(256)} for secret in (0, 77, 255)}
        assert all(len(values) == 256 for values in per_secret.values())


def test_the_private_half_is_spread_as_x_wing_prescribes() -> None:
    """First vector of draft-connolly-cfrg-xwing-kem: the seed is SHAKE128 of nothing."""
    key = RecoveryKey(hashlib.shake_128(b"").digest(32))
    assert key.public[1:33].hex() == "e2236b35a8c24b39b10aa1323a96a919a2ced88400633a7b07131713fc14b2b5"


def test_two_of_three_shares_open_what_was_sealed() -> None:
    public, shares = recovery.new_recovery_key(b"signer78")
    sealed = recovery.seal_to(public, b"secret", INFO)
    for pair in combinations(shares, 2):
        key = recovery.join(pair)
        assert (key.open(sealed, INFO), key.public, key.signer) == (b"secret", public, b"signer78")
    assert recovery.join([share.lower().replace("-", " ").replace("0", "o") for share in shares]).public == public
    assert "seed" not in repr(recovery.join(shares[:2]))


@given(st.data())
def test_a_sealed_value_with_one_bit_changed_or_another_purpose_does_not_open(data: st.DataObject) -> None:
    key = RecoveryKey(hashlib.sha256(b"seed").digest())
    sealed = bytearray(recovery.seal_to(key.public, b"secret", INFO))
    with pytest.raises(CannotOpen):
        key.open(bytes(sealed), b"other")
    at = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[at // 8] ^= 1 << at % 8
    with pytest.raises(CannotOpen):
        key.open(bytes(sealed), INFO)
    with pytest.raises(CannotOpen):
        key.open(bytes(sealed[: at // 8]), INFO)


@given(st.integers(0, 119), st.sampled_from(recovery.LETTERS))
def test_a_mistyped_letter_is_found(at: int, letter: str) -> None:
    _public, shares = recovery.new_recovery_key()
    typed = shares[1]
    if typed[at : at + 1] in ("", "-", letter):
        return
    with pytest.raises(Invalid, match="Share 2"):
        recovery.join([shares[0], typed[:at] + letter + typed[at + 1 :]])


def test_a_mistyped_group_is_named() -> None:
    _public, shares = recovery.new_recovery_key()
    groups = shares[0].split("-")
    wrong = next(letter for letter in recovery.LETTERS if letter != groups[4][4])
    groups[4] = groups[4][:4] + wrong
    with pytest.raises(Invalid, match=r"Share 2: group 5 is mistyped"):
        recovery.join([shares[2], "-".join(groups)])


def test_shares_that_do_not_make_a_key_say_why() -> None:
    shares, others = recovery.new_recovery_key()[1], recovery.new_recovery_key()[1]
    for given_shares, why in (
        ([shares[0], others[1]], "different recovery keys"),
        ([shares[0], shares[0]], "Two different shares"),
        ([shares[0]], "Two different shares"),
        ([shares[0], shares[1][:-6]], "20 groups"),
        ([shares[0], shares[1][:-1] + "U"], "in no share"),
    ):
        with pytest.raises(Invalid, match=why):
            recovery.join(given_shares)


# The practice's keys


def test_every_data_key_has_a_copy_old_and_new(practice: Practice, cast: Cast) -> None:
    vault = practice.vault
    before = recovery_wraps.state(vault.keystore)
    assert (before.name, before.missing) == ("", before.kept)
    assert before.kept > 3
    public, shares = recovery.new_recovery_key()
    recovery_wraps.install(vault, public)
    vault.seal(patient_scope(new_id()), "table", new_id(), 1, b"made afterwards")
    after = recovery_wraps.state(vault.keystore)
    assert (after.name, after.missing) == (recovery.recovery_id(public), 0)
    assert after.kept == before.kept + 1
    assert recovery_wraps.back_fill(vault) == 0
    assert recovery.join(shares[1:]).id == after.name


def test_a_new_recovery_key_takes_the_place_of_the_old_one(practice: Practice, cast: Cast) -> None:
    for _time in range(2):
        public, _shares = recovery.new_recovery_key()
        recovery_wraps.install(practice.vault, public)
    with Session(practice.vault.keystore) as session:
        names = set(session.scalars(select(KeyWrap.recipient_id).where(KeyWrap.recipient == "recovery")))
    assert names == {recovery.recovery_id(public)}
    assert recovery_wraps.state(practice.vault.keystore).missing == 0


def test_the_last_copy_of_a_data_key_stays_until_there_is_another(practice: Practice, cast: Cast) -> None:
    """Its root key is gone: only the earlier recovery key opens it, so replacing that one must not lose it."""
    first, shares = recovery.new_recovery_key()
    recovery_wraps.install(practice.vault, first)
    with Session(practice.vault.keystore.execution_options(telepsych_writes=True)) as session:
        orphan = session.scalars(select(DataKey.id).order_by(DataKey.id).limit(1)).one()
        session.execute(delete(KeyWrap).where(KeyWrap.recipient == "root", KeyWrap.data_key_id == orphan))
        session.commit()
    practice.vault.flush()
    second, _ = recovery.new_recovery_key()
    recovery_wraps.install(practice.vault, second)
    with Session(practice.vault.keystore) as session:
        left = session.scalars(select(KeyWrap).where(KeyWrap.recipient_id == recovery.recovery_id(first))).all()
    assert [wrap.data_key_id for wrap in left] == [orphan]
    assert len(recovery.join(shares[:2]).open(left[0].wrapped, recovery_wraps._info(orphan))) == 32
    assert recovery_wraps.state(practice.vault.keystore).missing == 1


def test_the_lost_keyring_comes_back_with_two_shares(practice: Practice, cast: Cast) -> None:
    public, shares = recovery.new_recovery_key()
    recovery_wraps.install(practice.vault, public)
    secret = practice.vault.derive("pepper")
    ring = practice.settings.keyring_file
    ring.unlink()
    recovered = recovery_wraps.recover(practice.vault.keystore, ring, recovery.join(shares[:2]))
    assert (recovered.lost, recovered.rewrapped) == (0, recovery_wraps.state(practice.vault.keystore).kept)
    assert ring.stat().st_mode & 0o777 == 0o400
    again = build_practice(
        practice.settings.data, practice.settings.records, practice.settings.keystore, practice.clock
    )
    assert again.vault.derive("pepper") == secret
    assert again.vault.blind("email", "A@example.org") == practice.vault.blind("email", "a@example.org")
    with again.begin(command("test"), writes=False, public="test") as work:
        assert accounts.names_of(work, [cast.patient.person_id])[cast.patient.person_id].name == cast.patient.name
    roots = {root.id for root in again.vault.provider.status()}
    with Session(again.vault.keystore) as session:
        assert set(session.scalars(select(KeyWrap.recipient_id).where(KeyWrap.recipient == "root"))) == roots
    again.records.dispose()


def test_recovery_stopped_half_way_goes_on(practice: Practice, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    public, shares = recovery.new_recovery_key()
    recovery_wraps.install(practice.vault, public)
    ring, keystore, key = practice.settings.keyring_file, practice.vault.keystore, recovery.join(shares[1:])
    ring.unlink()
    monkeypatch.setattr(recovery_wraps, "BATCH", 2)
    rewrap, calls = recovery_wraps._rewrap, iter(range(100))

    def dies(*arguments: object) -> int:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return rewrap(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(recovery_wraps, "_rewrap", dies)
    with pytest.raises(KeyboardInterrupt):
        recovery_wraps.recover(keystore, ring, key)
    assert not ring.exists()
    kept = recovery_wraps.state(keystore).kept
    assert recovery_wraps.recover(keystore, ring, key) == recovery_wraps.Recovered(kept - 2, 0)
    with pytest.raises(Misconfigured, match="already"):
        recovery_wraps.recover(keystore, ring, key)


def test_what_has_no_copy_is_said_to_be_lost_and_what_was_destroyed_stays_so(practice: Practice, cast: Cast) -> None:
    public, shares = recovery.new_recovery_key()
    recovery_wraps.install(practice.vault, public)
    with Session(practice.vault.keystore.execution_options(telepsych_writes=True)) as session:
        first, second = session.scalars(select(DataKey.id).order_by(DataKey.id).limit(2))
        copies = delete(KeyWrap).where(KeyWrap.recipient == "recovery")
        session.execute(copies.where(KeyWrap.data_key_id == first))
        session.execute(delete(KeyWrap).where(KeyWrap.data_key_id == second, KeyWrap.recipient == "root"))
        session.execute(update(DataKey).where(DataKey.id == second).values(destroyed_at=1))
        session.commit()
    practice.settings.keyring_file.unlink()
    key = recovery.join(shares[:2])
    recovered = recovery_wraps.recover(practice.vault.keystore, practice.settings.keyring_file, key)
    assert recovered.lost == 1
    with Session(practice.vault.keystore) as session:
        roots = select(KeyWrap.data_key_id).where(KeyWrap.recipient == "root")
        assert second not in session.scalars(roots).all()


def test_shares_of_another_practice_are_refused(practice: Practice) -> None:
    recovery_wraps.install(practice.vault, recovery.new_recovery_key()[0])
    practice.settings.keyring_file.unlink()
    stranger = recovery.join(recovery.new_recovery_key()[1][:2])
    with pytest.raises(Invalid, match="another recovery key"):
        recovery_wraps.recover(practice.vault.keystore, practice.settings.keyring_file, stranger)
    assert not practice.settings.keyring_file.exists()
