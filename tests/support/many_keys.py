"""Many data keys, those who read them, and a process that rotates their root key and can be killed."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from sqlalchemy import Engine, insert, select

from telepsych.core.ids import new_id
from telepsych.core.settings import Settings
from telepsych.crypto.keystore import DataKey, KeyWrap, reading, wrap_context, writing
from telepsych.crypto.provider import KeyProvider
from telepsych.crypto.vault import open_vault

ROTATOR = Path(__file__).with_name("rotator.py")


def add_keys(keystore: Engine, provider: KeyProvider, count: int) -> dict[UUID, bytes]:
    """Many data keys at once, and what they are."""
    made = {new_id(): os.urandom(32) for _ in range(count)}
    rows, wraps = [], []
    for key_id, key in made.items():
        root, wrapped = provider.wrap(key, wrap_context(key_id))
        rows.append(
            {"id": key_id, "kind": "patient", "owner_id": new_id(), "compartment": "general", "generation": 1}
            | {"created_at": 0}
        )
        wraps.append(
            {"id": new_id(), "data_key_id": key_id, "recipient": "root", "recipient_id": root, "wrapped": wrapped}
            | {"created_at": 0}
        )
    with writing(keystore) as session:
        session.execute(insert(DataKey), rows)
        session.execute(insert(KeyWrap), wraps)
    return made


def all_keys(keystore: Engine, provider: KeyProvider) -> dict[UUID, bytes]:
    """Every data key, unwrapped."""
    with reading(keystore) as session:
        wraps = session.scalars(select(KeyWrap)).all()
    opened = ((one.data_key_id, one.recipient_id, one.wrapped) for one in wraps)
    return {key: provider.unwrap(root, wrapped, wrap_context(key)) for key, root, wrapped in opened}


class Readers:
    """Threads that unwrap every key again and again, each like a process that remembers nothing."""

    def __init__(self, settings: Settings, keys: dict[UUID, bytes]) -> None:
        self.reads = 0
        self.failures: list[str] = []
        self._settings = settings
        self._keys = keys
        self._stop = threading.Event()
        self._moved = threading.Condition()

    def _read(self, start: int) -> None:
        vault = open_vault(self._settings)
        ids = list(self._keys)
        at = start
        while not self._stop.is_set():
            key_id = ids[at % len(ids)]
            at += 7
            try:
                right = vault.data_key(key_id) == self._keys[key_id]
            except Exception as problem:
                self.failures.append(repr(problem))
                right = True
            if not right:
                self.failures.append("another key")
            vault.flush()
            self._stop.wait(0.005)  # the rotator wants its turn too
            with self._moved:
                self.reads += 1
                self._moved.notify_all()

    def some_more(self) -> None:
        """Wait until much has been read."""
        with self._moved:
            goal = self.reads + 50
            assert self._moved.wait_for(lambda: self.reads >= goal, 60)

    @contextmanager
    def running(self) -> Iterator["Readers"]:
        threads = [threading.Thread(target=self._read, args=(start,)) for start in range(3)]
        for each in threads:
            each.start()
        try:
            yield self
        finally:
            self._stop.set()
            for each in threads:
                each.join()


def start_rotator(settings: Settings, batch: int, die_at: str = "") -> "subprocess.Popen[str]":
    """A process that rotates the root key; it prints a line when it begins, and one when it is done."""
    place = {"TELEPSYCH_KEYSTORE_URL": settings.keystore, "DIE_AT": die_at}
    command = [sys.executable, str(ROTATOR), str(settings.data), str(batch)]
    return subprocess.Popen(command, env=os.environ | place, stdout=subprocess.PIPE, text=True)
