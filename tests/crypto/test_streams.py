"""K13: a sealed stream opens whole or not at all, whatever is cut, swapped, repeated or added."""

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from telepsych.crypto import streams
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.streams import CHUNK, HEADER, TAG, TooLong, open_stream, seal_stream

KEY, CONTEXT = bytes(range(32)), b"a backup of Tuesday"
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7)
sizes = some.one_of(some.sampled_from(SIZES), some.integers(0, 3 * CHUNK))


class Pipe(io.RawIOBase):
    """Hands out less than it is asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 10_007))


def sealed(plaintext: bytes, context: bytes = CONTEXT, key: bytes = KEY) -> bytes:
    target = io.BytesIO()
    seal_stream(key, io.BytesIO(plaintext), target, context)
    return target.getvalue()


def opened(data: bytes, context: bytes = CONTEXT, key: bytes = KEY) -> bytes:
    target = io.BytesIO()
    open_stream(key, Pipe(data), target, context)
    return target.getvalue()


def pieces(data: bytes) -> list[bytes]:
    """The header, then the chunks."""
    size = CHUNK + TAG
    return [data[:HEADER], *(data[at : at + size] for at in range(HEADER, len(data), size))]


def text_of(size: int) -> bytes:
    return bytes(at * 7 % 251 for at in range(256)) * (size // 256 + 1)


@given(sizes)
def test_what_was_sealed_opens(size: int) -> None:
    plaintext = text_of(size)[:size]
    data = sealed(plaintext)
    assert opened(data) == plaintext
    assert len(data) == HEADER + size + TAG * max(1, -(-size // CHUNK))


@given(sizes, some.data())
def test_what_was_cut_does_not_open(size: int, draw: some.DataObject) -> None:
    data = sealed(text_of(size)[:size])
    at_a_chunk = some.sampled_from(range(HEADER, len(data), CHUNK + TAG))
    cut = draw.draw(some.one_of(at_a_chunk, some.integers(0, len(data) - 1)))
    with pytest.raises(CannotOpen):
        opened(data[:cut])


@given(some.sampled_from([one for one in SIZES if one > CHUNK]), some.data())
def test_chunks_in_another_order_or_twice_or_left_out_do_not_open(size: int, draw: some.DataObject) -> None:
    header, *chunks = pieces(sealed(text_of(size)[:size]))
    order = draw.draw(some.lists(some.sampled_from(range(len(chunks))), max_size=5))
    if order == list(range(len(chunks))):
        order.reverse()
    with pytest.raises(CannotOpen):
        opened(header + b"".join(chunks[at] for at in order))


@given(some.sampled_from(SIZES), some.data())
def test_a_flipped_bit_is_noticed_before_its_chunk_is_let_out(size: int, draw: some.DataObject) -> None:
    plaintext = text_of(size)[:size]
    data = bytearray(sealed(plaintext))
    at = draw.draw(some.integers(0, len(data) * 8 - 1))
    data[at // 8] ^= 1 << at % 8
    target = io.BytesIO()
    with pytest.raises(CannotOpen):
        open_stream(KEY, io.BytesIO(bytes(data)), target, CONTEXT)
    whole = max(0, at // 8 - HEADER) // (CHUNK + TAG)
    assert target.getvalue() == plaintext[: whole * CHUNK]


OTHERS: list[Callable[[], bytes]] = [
    lambda: sealed(b"x", context=b"a backup of Wednesday"),
    lambda: sealed(b"x", key=bytes(32)),
    lambda: sealed(b"x") + b"\0",
    lambda: sealed(b"") + sealed(b"")[HEADER:],
    lambda: sealed(b"x" * CHUNK) + bytes(TAG),
    lambda: b"",
]


@pytest.mark.parametrize("make", OTHERS)
def test_what_belongs_elsewhere_or_goes_on_does_not_open(make: Callable[[], bytes]) -> None:
    with pytest.raises(CannotOpen):
        opened(make())


def test_a_chunk_of_another_stream_of_the_same_key_and_context_does_not_open() -> None:
    one, other = pieces(sealed(bytes(2 * CHUNK))), pieces(sealed(bytes(2 * CHUNK)))
    with pytest.raises(CannotOpen):
        opened(one[0] + one[1] + other[2])


def test_the_counter_never_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLong):
        streams._nonce(2**32, is_last=True)
    assert streams._nonce(2**32 - 1, is_last=True)[7:] == b"\xff\xff\xff\xff\x01"
    data = sealed(bytes(3 * CHUNK))
    monkeypatch.setattr(streams, "MOST_CHUNKS", 2)
    with pytest.raises(TooLong):
        sealed(bytes(3 * CHUNK))
    with pytest.raises(CannotOpen):
        opened(data)
