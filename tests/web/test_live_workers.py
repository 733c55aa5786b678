"""Several live processes behind one door: any of them will do, and news reaches people wherever their sockets are."""

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from live_client import Page
from live_lab import Lab, SignedIn
from live_processes import LiveGroup

WORKERS, PAGES = 4, 300


@pytest.fixture(scope="module")
def workers(
    new_database: Callable[[], str], start_group: Callable, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveGroup]:
    lab = Lab(tmp_path_factory.mktemp("workers"), new_database()).create_tables()
    with start_group(lab, workers=WORKERS) as group:
        yield group
    lab.practice.records.dispose()


def test_every_one_of_300_pages_connects_and_is_answered_by_any_of_4_workers(workers: LiveGroup) -> None:
    people = [workers.lab.sign_in() for _ in range(PAGES)]

    def visit(who: SignedIn) -> tuple[Page, int]:
        page = Page(workers.port, who)
        return page, page.emit("lab:echo", {"n": 1})["worker"]

    with ThreadPoolExecutor(24) as pool:
        visits = list(pool.map(visit, people))
    assert sum(page.let_in for page, _ in visits) == PAGES
    assert set(Counter(worker for _, worker in visits)) == set(workers.workers()), "each worker took some"

    workers.lab.tell([who.person for who in people], "queue:news", n=9)
    for page, _ in visits:
        page.hear(lambda page: page.events == [("queue:news", {"n": 9})])
    for page, _ in visits:
        page.close()


def test_news_from_one_worker_reaches_pages_on_the_others(workers: LiveGroup) -> None:
    reader, sender = workers.lab.sign_in(), workers.lab.sign_in()
    tabs = [Page(workers.port, reader) for _ in range(12)]
    homes = {tab.emit("lab:echo", {"n": 1})["worker"] for tab in tabs}
    assert len(homes) > 1
    assert Page(workers.port, sender).emit("lab:announce", {"person": str(reader.person), "n": 3})["ok"]
    for tab in tabs:
        tab.hear(lambda page: page.events == [("conversation:news", {"seq": 3})])


def test_signing_out_reaches_every_worker(workers: LiveGroup) -> None:
    who = workers.lab.sign_in()
    tabs = [Page(workers.port, who) for _ in range(12)]
    who.sign_out()
    for tab in tabs:
        tab.hear(lambda page: page.closed)
        assert tab.events == [("signed-out", {"locked": False})]


def test_a_killed_worker_comes_back_and_pages_with_it(workers: LiveGroup) -> None:
    who = workers.lab.sign_in()
    page = Page(workers.port, who)
    worker = page.emit("lab:echo", {"n": 1})["worker"]
    subprocess.run(["kill", "-9", str(worker)], check=True)
    page.hear(lambda page: page.closed)
    assert not Path(f"/proc/{worker}/fd/0").exists()
    again = Page(workers.port, who)
    assert again.emit("lab:echo", {"n": 1})["ok"]
