"""K3 to K6: what was moved, altered or cut, or sealed under another key, never opens; what was sealed always does."""

import json
from itertools import product
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as some

from telepsych.core.actor import Compartment
from telepsych.crypto import envelope
from telepsych.crypto.envelope import CannotOpen, context_of, open_sealed, seal
from telepsych.crypto.scopes import patient_scope, practice_scope, user_scope

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
KEY_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
ROW, OTHER_ROW = UUID(int=7), UUID(int=8)
VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
CELLS = [
    (scope, table, row, version, extra)
    for scope, table, row, version, extra in product(
        (
            patient_scope(ROW),
            patient_scope(ROW, Compartment.CONFIDENTIAL),
            patient_scope(OTHER_ROW),
            user_scope(ROW),
            practice_scope(),
        ),
        ("message", "fact"),
        (ROW, OTHER_ROW),
        (1, 2),
        ((), ("a", 1), ("a1",), (b"a", 1), (UUID(int=1), 1)),
    )
]


def context(scope=patient_scope(ROW), table="message", row=ROW, version=1, extra=()):  # noqa: B008
    return context_of(scope, KEY_ID, table, row, version, extra)


@given(some.binary(max_size=3_000))
def test_what_is_sealed_opens(plaintext: bytes) -> None:
    assert open_sealed(KEY, context(), seal(KEY, KEY_ID, context(), plaintext)) == plaintext


def test_a_ciphertext_opens_in_its_own_cell_only() -> None:
    contexts = [context_of(scope, KEY_ID, *rest) for scope, *rest in CELLS]
    assert len(set(contexts)) == len(contexts)
    sealed = [seal(KEY, KEY_ID, one, b"private") for one in contexts]
    for (here, one), (there, other) in product(enumerate(contexts), enumerate(sealed)):
        if here == there:
            assert open_sealed(KEY, one, other) == b"private"
        else:
            with pytest.raises(CannotOpen):
                open_sealed(KEY, one, other)


def test_every_flipped_bit_is_noticed() -> None:
    sealed = seal(KEY, KEY_ID, context(), b"private")
    for at in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[at // 8] ^= 1 << at % 8
        with pytest.raises(CannotOpen):
            open_sealed(KEY, context(), bytes(altered))


def test_every_cut_and_every_addition_is_noticed() -> None:
    sealed = seal(KEY, KEY_ID, context(), b"private")
    for length in range(len(sealed)):
        with pytest.raises(CannotOpen):
            open_sealed(KEY, context(), sealed[:length])
    with pytest.raises(CannotOpen):
        open_sealed(KEY, context(), sealed + b"\0")


def test_the_error_says_nothing_of_what_was_sealed() -> None:
    sealed = seal(KEY, KEY_ID, context(), b"a canary")
    with pytest.raises(CannotOpen) as caught:
        open_sealed(OTHER_KEY, context(), sealed)
    assert "canary" not in repr(caught.value)
    assert caught.value.__context__ is None


def test_another_key_is_refused_even_where_its_tag_would_fit() -> None:
    """Plain GCM lets one ciphertext open under two keys. Here the body is genuine under the other, the header not."""
    sealed = bytearray(seal(KEY, KEY_ID, context(), b"private"))
    header = bytes(sealed[: envelope.COMMITMENT_AT])
    record_key, commitment = envelope._derive(OTHER_KEY, header[envelope.SALT_AT :], context())
    padded = b"private\x80".ljust(64, b"\0")
    body = AESGCM(record_key).encrypt(envelope.NONCE, padded, header + context())
    forged = header + bytes(sealed[envelope.COMMITMENT_AT : envelope.BODY_AT]) + body
    with pytest.raises(CannotOpen):
        open_sealed(OTHER_KEY, context(), forged)
    assert open_sealed(OTHER_KEY, context(), header + commitment + body) == b"private"


def test_lengths_tell_little() -> None:
    sizes = {len(seal(KEY, KEY_ID, context(), bytes(length))) for length in range(63)}
    assert len(sizes) == 1
    assert (len(seal(KEY, KEY_ID, context(), bytes(5_000))) - envelope.BODY_AT - envelope.TAG) % 256 == 0


def test_no_two_seals_share_a_salt() -> None:
    salts = {seal(KEY, KEY_ID, context(), b"")[envelope.SALT_AT : envelope.COMMITMENT_AT] for _ in range(5_000)}
    assert len(salts) == 5_000


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_frozen_vectors_open_for_ever(vector: dict[str, str]) -> None:
    key, sealed = bytes.fromhex(vector["key"]), bytes.fromhex(vector["sealed"])
    assert open_sealed(key, bytes.fromhex(vector["context"]), sealed).hex() == vector["plaintext"]
    salt = sealed[envelope.SALT_AT : envelope.COMMITMENT_AT]
    again = seal(
        key, UUID(vector["key_id"]), bytes.fromhex(vector["context"]), bytes.fromhex(vector["plaintext"]), salt
    )
    assert again == sealed


def test_the_context_of_the_first_vector_is_still_built_alike() -> None:
    assert context().hex() == VECTORS[0]["context"]
