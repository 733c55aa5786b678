"""Sequencers that are killed at every kind of moment, and a look at what they leave behind (L5).

    python -m support.sequencer_kills DATA RECORDS KEYSTORE KILLS

Each victim is a process of its own that kills itself (SIGKILL) before or after a statement, or just before a commit,
picked at random; often a second sequencer works beside it. Entries go on being written in between. Prints what was seen
as JSON.
"""

import json
import os
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event, func, select

from support.practice import TUESDAY_MORNING, build_practice
from telepsych.audit import service as audit
from telepsych.audit.models import AuditCheckpoint, AuditLeaf, AuditRow
from telepsych.audit.sequencer import WALK, Sequencer
from telepsych.audit.verify import verify
from telepsych.core.actor import command
from telepsych.core.clock import SECOND, FrozenClock
from telepsych.core.errors import Unavailable
from telepsych.core.work import Practice

MOMENTS = {"before_cursor_execute": 40, "after_cursor_execute": 40, "commit": 5}
"""When to die, and how many of these moments are let pass at most."""
BATCH = 10
SEED = 20261127


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def work_until_killed(practice: Practice, moment: str, countdown: int) -> None:
    """Sequence in small batches; die at the given moment's n-th time, or with nothing left to do."""
    left = iter(range(countdown))
    event.listen(practice.records, moment, lambda *_: next(left, None) is None and die())
    for _ in range(3):
        with suppress(Unavailable):  # behind another one for too long
            Sequencer(batch=BATCH).run(practice)
    die()


class Killing:
    """A practice whose sequencers keep dying."""

    def __init__(self, data: Path, records: str, keystore: str) -> None:
        self._places = (data, records, keystore)
        self._random = random.Random(SEED)
        self.written = 0
        self.kills = 0
        self.torn: list[str] = []

    def open(self) -> Practice:
        return build_practice(*self._places, FrozenClock(TUESDAY_MORNING))

    def round(self) -> None:
        """Write some entries, kill one or two sequencers over them, and look."""
        self._write(self._random.randrange(1, 4 * BATCH))
        victims = [self._start() for _ in range(self._random.choice((1, 1, 2)))]
        for victim in victims:
            _, status = os.waitpid(victim, 0)
            assert os.WIFSIGNALED(status), "it was to be killed"
            assert os.WTERMSIG(status) == signal.SIGKILL
            self.kills += 1
        self._look()

    def end(self) -> dict[str, Any]:
        """Let one sequencer finish in peace, its walk over older rows included, and examine everything."""
        practice, sequencer = self.open(), Sequencer()
        for _ in range(2 + self.written // WALK):
            sequencer.run(practice)
        self._look()
        with practice.begin(command("test"), writes=False, public="test") as work:
            report = verify(work)
        found = [one.sentence for one in report.findings]
        practice.records.dispose()
        return {"kills": self.kills, "written": self.written, "placed": report.size, "torn": self.torn, "found": found}

    def _start(self) -> int:
        moment = self._random.choice(list(MOMENTS))
        countdown = self._random.randrange(MOMENTS[moment])
        victim = os.fork()
        if victim == 0:
            try:
                work_until_killed(self.open(), moment, countdown)
            finally:
                os._exit(1)
        return victim

    def _write(self, count: int) -> None:
        practice = self.open()
        with practice.begin(command("test"), public="test") as work:
            work.now -= self._random.randrange(0, 600) * SECOND  # some look as if they had come earlier
            for number in range(count):
                audit.record(work, "test.noted", f"thing:{number}")
        self.written += count
        practice.records.dispose()

    def _look(self) -> None:
        """Indexes without gap or repeat, no row twice, and the newest checkpoint covers exactly what is there."""
        practice = self.open()
        with practice.begin(command("test"), writes=False, public="test") as work:
            leaves, last, rows = work.session.execute(
                select(func.count(), func.max(AuditLeaf.leaf_index), func.count(AuditLeaf.row_id.distinct()))
            ).one()
            signed = work.session.scalar(select(func.max(AuditCheckpoint.size))) or 0
            kept = work.session.scalar(select(func.count()).select_from(AuditRow)) or 0
        practice.records.dispose()
        size = 0 if last is None else last + 1
        if not leaves == rows == size == signed <= kept == self.written:
            seen = f"{leaves} leaves, {rows} rows, size {size}, {signed} signed, {kept} of {self.written} kept"
            self.torn.append(seen)


def main() -> None:
    data, records, keystore, kills = sys.argv[1:]
    killing = Killing(Path(data), records, keystore)
    while killing.kills < int(kills):
        killing.round()
    sys.stdout.write(json.dumps(killing.end()))


if __name__ == "__main__":
    main()
