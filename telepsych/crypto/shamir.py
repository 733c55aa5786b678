"""Shamir's secret sharing over GF(2^8), byte by byte, in the field of AES (x^8 + x^4 + x^3 + x + 1).

Any `threshold` shares give the secret back; fewer say nothing about it, whatever computers one has. Nothing here
notices a wrong share: whoever calls adds a checksum. Used away from the server and once per ceremony, so table look-ups
that depend on the secret are no way in.
"""

import secrets
from collections.abc import Mapping


def _tables() -> tuple[bytes, bytes]:
    """Powers of the generator 3, and their logarithms."""
    powers, logs = bytearray(255), bytearray(256)
    value = 1
    for exponent in range(255):
        powers[exponent], logs[value] = value, exponent
        value ^= (value << 1) ^ (0x11B if value & 0x80 else 0)
        value &= 0xFF
    return bytes(powers), bytes(logs)


POWERS, LOGS = _tables()


def multiply(a: int, b: int) -> int:
    """The product of two elements of the field."""
    return POWERS[(LOGS[a] + LOGS[b]) % 255] if a and b else 0


def divide(a: int, b: int) -> int:
    """The quotient of two elements. Raises ZeroDivisionError."""
    if not b:
        raise ZeroDivisionError
    return POWERS[(LOGS[a] - LOGS[b]) % 255] if a else 0


def split(secret: bytes, threshold: int, count: int) -> dict[int, bytes]:
    """Shares by their number, 1 to `count`. Raises ValueError for a threshold that makes no sense."""
    if not 2 <= threshold <= count <= 255:
        raise ValueError("a threshold of at least two, and at most as many as there are shares")
    polynomials = [(byte, *secrets.token_bytes(threshold - 1)) for byte in secret]
    return {x: bytes(_value(polynomial, x) for polynomial in polynomials) for x in range(1, count + 1)}


def join(shares: Mapping[int, bytes]) -> bytes:
    """The secret behind these shares. Raises ValueError when they cannot belong together."""
    lengths = {len(share) for share in shares.values()}
    if len(lengths) != 1 or not all(1 <= x <= 255 for x in shares):
        raise ValueError("these shares do not belong together")
    weights = {x: _weight(x, [other for other in shares if other != x]) for x in shares}
    secret = bytearray(lengths.pop())
    for x, share in shares.items():
        for at, byte in enumerate(share):
            secret[at] ^= multiply(byte, weights[x])
    return bytes(secret)


def _value(polynomial: tuple[int, ...], x: int) -> int:
    """The polynomial's value at x, by Horner's rule."""
    value = 0
    for coefficient in reversed(polynomial):
        value = multiply(value, x) ^ coefficient
    return value


def _weight(x: int, others: list[int]) -> int:
    """How much a share counts at zero (Lagrange). Addition and subtraction are both XOR."""
    weight = 1
    for other in others:
        weight = multiply(weight, divide(other, other ^ x))
    return weight
