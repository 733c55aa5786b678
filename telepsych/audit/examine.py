"""Examining a tree leaf by leaf against everything that was ever signed about it. Pure: the verifier feeds it from the
database, the offline checker from an export."""

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

from telepsych.audit.notes import BadNote, Checkpoint, checkpoint_of
from telepsych.audit.tree import EMPTY_ROOT, Growing


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be."""

    kind: str
    sentence: str
    index: int | None = None
    """The leaf it is about, or the first one it may be about."""
    entry: str | None = None
    before: int | None = None
    """It is about some leaf from `index` to one below this; None when it is about `index` itself."""


@dataclass
class Report:
    """What was examined and what was found."""

    size: int = 0
    root: str = ""
    checkpoints: int = 0
    anchors: int = 0
    waiting: int = 0
    waited: int = 0
    """Microseconds since the oldest entry without a place was written."""
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """What could not be examined, and what has changed lawfully."""

    @property
    def is_whole(self) -> bool:
        return not self.findings

    @property
    def first_bad(self) -> int | None:
        """The first leaf that is not as it was written, as far as it can be told."""
        exact = {one.index for one in self.findings if one.index is not None and one.before is None}
        spans = [(one.index, one.before) for one in self.findings if one.index is not None and one.before is not None]
        vague = {low for low, high in spans if not any(low <= index < high for index in exact)}
        return min(exact | vague, default=None)

    def as_dict(self) -> dict[str, Any]:
        return {"whole": self.is_whole, "first_bad_index": self.first_bad, **asdict(self)}


class Examiner:
    """Recomputes the tree and compares its root at every size for which somebody holds a signed one."""

    def __init__(self, public: bytes, report: Report | None = None) -> None:
        self.report = report or Report()
        self._public = public
        self._growing = Growing()
        self._expected: dict[int, dict[bytes, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._agreed = 0
        self._unlike: set[str] = set()
        self._is_torn = False

    def expect(self, note: str, source: str) -> Checkpoint | None:
        """Hold the tree to a signed note that `source` keeps. A note that is not ours is itself a finding."""
        try:
            checkpoint = checkpoint_of(note, self._public)
        except BadNote as problem:
            self.find("signature", f"A checkpoint kept by {source} is not one of this practice: {problem}.")
            return None
        self._expected[checkpoint.size][checkpoint.root].append(source)
        if checkpoint.size == 0:
            self._compare(0, EMPTY_ROOT)
        return checkpoint

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """The next leaf. Returns the hashes of the full subtrees that it completes; none once a leaf is missing."""
        if self._is_torn:
            return []
        kept = list(self._growing.append(leaf))
        if self._growing.size in self._expected:
            self._compare(self._growing.size, self._growing.root())
        return kept

    def tear(self) -> None:
        """A leaf is missing: nothing can be recomputed from here on."""
        self._is_torn = True

    def find(
        self, kind: str, sentence: str, index: int | None = None, entry: object = None, before: int | None = None
    ) -> None:
        """Note something down."""
        self.report.findings.append(Finding(kind, sentence, index, str(entry) if entry else None, before))

    def end(self, size: int) -> Report:
        """Close the examination of a tree that claims `size` leaves."""
        self.report.size = size
        self.report.root = "" if self._is_torn else self._growing.root().hex()
        longest = max(self._expected, default=0)
        if longest > size:
            who = self._sources(longest)
            self.find("truncated", f"The tree ends at {size}, but {who} knows it with {longest} leaves.", size)
        elif longest < size:
            self.find("unsigned", f"No checkpoint covers the leaves from {longest} on.", longest)
        return self.report

    def _compare(self, size: int, root: bytes) -> None:
        others = [source for found, sources in self._expected[size].items() if found != root for source in sources]
        if not others:
            self._agreed = max(self._agreed, size)
        for source in others:
            if source not in self._unlike:
                self._unlike.add(source)
                self.find(
                    "root",
                    f"The tree of {size} leaves is not the one known to {source}: a leaf from {self._agreed} to "
                    f"{size - 1} was changed, added, removed or moved.",
                    self._agreed,
                    before=size,
                )

    def _sources(self, size: int) -> str:
        return ", ".join(sorted({source for sources in self._expected[size].values() for source in sources}))
