"""Signed notes and checkpoints in the format of the transparency logs."""

import pytest

from telepsych.audit.notes import (
    COSIGNED,
    BadNote,
    Checkpoint,
    Signer,
    VerifierKey,
    checkpoint_of,
    cosigned_at,
    opened,
    text_of,
)

KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
OURS = Signer.of("example.org/audit", bytes(range(32)))


def test_the_published_example_opens() -> None:
    key = VerifierKey.parse(KEY)
    assert str(key) == KEY
    assert opened(NOTE, key) == text_of(NOTE)
    with pytest.raises(BadNote):
        opened(NOTE.replace("answer", "anchor"), key)


def test_a_checkpoint_comes_back_from_its_note() -> None:
    checkpoint = Checkpoint(OURS.name, 20_852_163, b"r" * 32)
    note = OURS.sign(str(checkpoint))
    assert note.splitlines()[:2] == ["example.org/audit", "20852163"]
    assert checkpoint_of(note, OURS.key.public) == checkpoint
    other = Signer.of(OURS.name, b"x" * 32)
    for bad in (note.replace("20852163", "20852164"), note.replace("example", "examples"), other.sign(str(checkpoint))):
        with pytest.raises(BadNote):
            checkpoint_of(bad, OURS.key.public)


def test_a_witness_signs_beside_it_with_its_time() -> None:
    text = str(Checkpoint(OURS.name, 5, b"r" * 32))
    witness = Signer.of("witness.example.org", b"w" * 32, COSIGNED)
    note = OURS.sign(text) + witness.cosign(text, 1_795_532_400)
    assert opened(note, OURS.key) == opened(note, witness.key) == text
    assert cosigned_at(note, witness.key) == 1_795_532_400
    with pytest.raises(BadNote):
        opened(note.replace("\n5\n", "\n6\n"), witness.key)


NOT_CHECKPOINTS = ("", "a\n", "a\n01\nAA==\n", "a\nx\nAA==\n", "a\n1\nAA==\n", f"\n1\n{'A' * 43}=\n")


@pytest.mark.parametrize("text", NOT_CHECKPOINTS)
def test_what_is_not_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        Checkpoint.parse(text)


@pytest.mark.parametrize("text", ["", "name", "name+00000000+AQ==", KEY.replace("c74f", "c74e"), KEY[:-4]])
def test_what_is_not_a_key_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        VerifierKey.parse(text)
