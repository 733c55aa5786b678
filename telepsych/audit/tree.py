"""The Merkle tree of RFC 9162: hashes, roots, inclusion and consistency proofs, and how they are checked. Pure.

Only leaf hashes and the roots of full subtrees of 256, 65 536, … leaves are kept; whatever lies between is worked out.
A tile is 256 of them side by side, so a proof over n leaves reads at most two tiles of each of log256(n) levels.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

SPAN = 8
"""Levels from one kept hash to the next above it."""
WIDTH = 1 << SPAN
EMPTY_ROOT = sha256(b"").digest()

Fetch = Callable[[int, int], Sequence[bytes]]
"""Reads a tile: the kept hashes of a level (0, 8, 16, …) from position `256 * tile` on, at most 256 of them."""


class BrokenTree(Exception):
    """A hash that the tree needs is not there."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf. The prefix keeps a leaf from passing for a node."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two subtrees."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree read tile by tile. Raises `BrokenTree` where a hash is missing."""

    def __init__(self, size: int, fetch: Fetch) -> None:
        self.size = size
        self._fetch = fetch
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}
        self._full: dict[tuple[int, int], bytes] = {}

    def root(self, size: int | None = None) -> bytes:
        """The root over the first `size` leaves."""
        size = self.size if size is None else size
        if not 0 <= size <= self.size:
            raise ValueError("no such size")
        return self._hash(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The proof that leaf `index` is in the tree of `size` leaves, from the leaf upwards."""
        size = self.size if size is None else size
        if not 0 <= index < size <= self.size:
            raise ValueError("no such leaf")
        path = []
        low, high = 0, size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                path.append(self._hash(middle, high))
                high = middle
            else:
                path.append(self._hash(low, middle))
                low = middle
        return path[::-1]

    def consistency(self, first: int, second: int | None = None) -> list[bytes]:
        """The proof that the tree of `second` leaves begins with that of `first` leaves."""
        second = self.size if second is None else second
        if not 0 <= first <= second <= self.size:
            raise ValueError("no such size")
        if first in (0, second):
            return []
        path = []
        low, high, whole = 0, second, True
        while high != first:
            middle = low + _split(high - low)
            if first <= middle:
                path.append(self._hash(middle, high))
                high = middle
            else:
                path.append(self._hash(low, middle))
                low, whole = middle, False
        if not whole:
            path.append(self._hash(low, high))
        return path[::-1]

    def peaks(self) -> list[tuple[int, bytes]]:
        """The full subtrees that the tree is made of, from the left: level and hash."""
        found, low = [], 0
        for level in reversed(range(self.size.bit_length())):
            if self.size >> level & 1:
                found.append((level, self._hash(low, low + (1 << level))))
                low += 1 << level
        return found

    def _hash(self, low: int, high: int) -> bytes:
        """The hash over leaves [low, high), which RFC 9162 cuts at the largest power of two below its width."""
        width = high - low
        if width & (width - 1):
            middle = low + _split(width)
            return node_hash(self._hash(low, middle), self._hash(middle, high))
        level = width.bit_length() - 1
        if level % SPAN == 0:
            return self._kept(level, low >> level)
        known = self._full.get((low, level))
        if known is None:
            middle = low + width // 2
            known = self._full[low, level] = node_hash(self._hash(low, middle), self._hash(middle, high))
        return known

    def _kept(self, level: int, index: int) -> bytes:
        place = (level, index >> SPAN)
        if place not in self._tiles:
            self._tiles[place] = self._fetch(*place)
        try:
            return self._tiles[place][index % WIDTH]
        except IndexError:
            raise BrokenTree(f"node {level}/{index}") from None


class Growing:
    """The right edge of a tree: all that is needed to append to it and to know its root."""

    def __init__(self, peaks: Iterable[tuple[int, bytes]] = ()) -> None:
        self._peaks = list(peaks)
        self.size = sum(1 << level for level, _ in self._peaks)

    def append(self, leaf: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Add a leaf hash. Yields the hashes to keep that this completes: level, index, hash."""
        level, top = 0, leaf
        while self._peaks and self._peaks[-1][0] == level:
            top = node_hash(self._peaks.pop()[1], top)
            level += 1
            if level % SPAN == 0:
                yield level, self.size >> level, top
        self._peaks.append((level, top))
        self.size += 1

    def root(self) -> bytes:
        """The root over everything so far."""
        if not self._peaks:
            return EMPTY_ROOT
        top = self._peaks[-1][1]
        for _, left in reversed(self._peaks[:-1]):
            top = node_hash(left, top)
        return top


def proves_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows this leaf hash at `index` in the tree with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, top = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            top = node_hash(step, top)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            top = node_hash(top, step)
        at, last = at >> 1, last >> 1
    return last == 0 and top == root


def proves_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the second tree begins with the first (RFC 9162, 2.1.4.2)."""
    if first == second or first == 0:
        return not proof and (first_root == second_root if first == second else first_root == EMPTY_ROOT)
    if not 0 < first < second or not proof:
        return False
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, step)
        at, last = at >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(width: int) -> int:
    """The largest power of two below a width of two or more."""
    return 1 << (width - 1).bit_length() - 1
