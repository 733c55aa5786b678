"""The tree against the published vectors of RFC 6962, and against its own definition on random trees (L6)."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telepsych.audit.tree import (
    EMPTY_ROOT,
    WIDTH,
    BrokenTree,
    Growing,
    Tree,
    leaf_hash,
    proves_consistency,
    proves_inclusion,
)

INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSIONS = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}
CONSISTENCIES = {
    (1, 8): INCLUSIONS[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


class Stored:
    """Hashes kept as the database keeps them; counts the tiles that are read."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.growing = Growing()
        self.levels: dict[int, list[bytes]] = {0: list(leaves)}
        self.reads = 0
        for leaf in leaves:
            for level, index, top in self.growing.append(leaf):
                assert len(self.levels.setdefault(level, [])) == index
                self.levels[level].append(top)

    def fetch(self, level: int, tile: int) -> list[bytes]:
        self.reads += 1
        return self.levels.get(level, [])[tile * WIDTH : (tile + 1) * WIDTH]

    @property
    def tree(self) -> Tree:
        return Tree(self.growing.size, self.fetch)


@cache
def numbered(size: int) -> Stored:
    return Stored([leaf_hash(str(number).encode()) for number in range(size)])


def plain_root(leaves: Sequence[bytes]) -> bytes:
    """MTH as RFC 9162, 2.1.1 defines it."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    cut = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + plain_root(leaves[:cut]) + plain_root(leaves[cut:])).digest()


def test_published_vectors() -> None:
    tree = Stored([leaf_hash(bytes.fromhex(text)) for text in INPUTS]).tree
    assert tree.root(0) == EMPTY_ROOT == sha256().digest()
    assert [tree.root(size).hex() for size in range(1, 9)] == ROOTS
    for (index, size), proof in INCLUSIONS.items():
        assert [step.hex() for step in tree.inclusion(index, size)] == proof
    for (first, second), proof in CONSISTENCIES.items():
        assert [step.hex() for step in tree.consistency(first, second)] == proof


@given(size=st.integers(1, 1200), data=st.data())
def test_every_proof_shows_what_is_true_and_nothing_else(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(str(number).encode()) for number in range(size)]
    tree, root = Stored(leaves).tree, plain_root(leaves)
    assert tree.root() == Growing(tree.peaks()).root() == root

    index = data.draw(st.integers(0, size - 1))
    proof = tree.inclusion(index)
    assert proves_inclusion(leaves[index], index, size, proof, root)
    assert not proves_inclusion(leaves[index], index + 1, size, proof, root)
    assert not proves_inclusion(leaf_hash(b"other"), index, size, proof, root)
    assert not proves_inclusion(leaves[index], index, size, [*proof, root], root)

    first = data.draw(st.integers(0, size))
    before, path = plain_root(leaves[:first]), tree.consistency(first)
    assert proves_consistency(first, size, before, root, path)
    if 0 < first < size:
        assert not proves_consistency(first, size, leaf_hash(b"other"), root, path)
        assert not proves_consistency(first, size, before, leaf_hash(b"other"), path)
        assert not proves_consistency(first, size, before, root, [])
        assert not proves_consistency(size, first, root, before, path)
        at = data.draw(st.integers(0, len(path) - 1))
        bent = [*path[:at], leaf_hash(b"bent"), *path[at + 1 :]]
        assert not proves_consistency(first, size, before, root, bent)


@given(first=st.integers(0, 70_000), more=st.integers(0, 600))
def test_going_on_from_a_stored_edge_is_the_same_as_starting_anew(first: int, more: int) -> None:
    whole = numbered(70_600)
    growing = Growing(Tree(first, whole.fetch).peaks())
    for leaf in whole.levels[0][first : first + more]:
        for level, index, top in growing.append(leaf):
            assert whole.levels[level][index] == top
    assert growing.root() == Tree(first + more, whole.fetch).root()


@pytest.mark.parametrize("size", [256, 65_536, 65_537, 70_600])
def test_proofs_read_a_few_tiles_however_large_the_tree(size: int) -> None:
    whole = numbered(70_600)
    for ask in (lambda tree: tree.inclusion(size // 3), lambda tree: tree.consistency(size // 3), Tree.root):
        whole.reads = 0
        ask(Tree(size, whole.fetch))
        assert whole.reads <= 6


def test_a_hash_that_is_missing_is_said_to_be() -> None:
    whole = numbered(70_600)
    torn = Tree(70_600, lambda level, tile: whole.fetch(level, tile)[:-1])
    with pytest.raises(BrokenTree):
        torn.root()
