"""Long things, sealed in chunks: `version(1) | suite(1) | salt(32) | commitment(32)`, then chunks of 64 KiB, each with
its tag.

STREAM (Hoang, Reyhanitabar, Rogaway and Vizár, 2015): the nonce is seven zero bytes, the number of the chunk (4 bytes)
and a flag on the last chunk. So chunks cannot be cut off, repeated, swapped or taken from elsewhere. The key of a
stream is made anew from a fresh salt, with a commitment to it, as in the envelope; the AAD is the header and the
context. The last chunk may be shorter than the others and is empty only where the whole is empty.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from telepsych.crypto.envelope import CannotOpen

VERSION, SUITE = 1, 1
LABEL = b"telepsych/stream/1"
CHUNK = 64 * 1024
TAG = 16
START = 34
"""Where the commitment begins: after version, suite and salt."""
HEADER = START + 32
MOST_CHUNKS = 2**32


class TooLong(Exception):
    """More than 2^32 chunks (256 TiB): the counter would start again, and with it the nonces."""


def seal_stream(key: bytes, source: BinaryIO, target: BinaryIO, context: bytes) -> None:
    """Seal all of `source` into `target`. `context` says what it is and where it belongs, and is not stored."""
    start = bytes((VERSION, SUITE)) + secrets.token_bytes(32)
    stream_key, commitment = _derive(key, start, context)
    target.write(start + commitment)
    cipher, bound = AESGCM(stream_key), start + commitment + context
    for number, chunk, is_last in _chunks(source, CHUNK):
        target.write(cipher.encrypt(_nonce(number, is_last), chunk, bound))


def open_stream(key: bytes, source: BinaryIO, target: BinaryIO, context: bytes) -> None:
    """Open all of `source` into `target`. Each chunk is written only once its tag was right.

    Raises `CannotOpen`, whatever is wrong; what was written by then is genuine, but not the whole: throw it away.
    """
    header = _read(source, HEADER)
    if len(header) < HEADER or header[0] != VERSION or header[1] != SUITE:
        raise CannotOpen
    stream_key, commitment = _derive(key, header[:START], context)
    if not hmac.compare_digest(commitment, header[START:]):
        raise CannotOpen
    cipher, bound = AESGCM(stream_key), header + context
    for number, chunk, is_last in _chunks(source, CHUNK + TAG):
        if len(chunk) < TAG or (number > 0 and len(chunk) == TAG):
            raise CannotOpen
        try:
            plaintext = cipher.decrypt(_nonce(number, is_last), chunk, bound)
        except (InvalidTag, TooLong):
            raise CannotOpen from None
        target.write(plaintext)


def _chunks(source: BinaryIO, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Number, bytes and whether it is the last, one chunk ahead. There is always a last one, be it empty."""
    number, chunk = 0, _read(source, size)
    while True:
        following = _read(source, size) if len(chunk) == size else b""
        yield number, chunk, not following
        if not following:
            return
        number, chunk = number + 1, following


def _read(source: BinaryIO, size: int) -> bytes:
    """So many bytes, fewer only at the end: pipes and sockets hand out less at a time."""
    parts, missing = [], size
    while missing and (part := source.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _nonce(number: int, is_last: bool) -> bytes:
    if number >= MOST_CHUNKS:
        raise TooLong
    return bytes(7) + number.to_bytes(4) + bytes((is_last,))


def _derive(key: bytes, start: bytes, context: bytes) -> tuple[bytes, bytes]:
    info = LABEL + start[:2] + hashlib.sha256(context).digest()
    both = HKDF(algorithm=hashes.SHA256(), length=64, salt=start[2:], info=info).derive(key)
    return both[:32], both[32:]
