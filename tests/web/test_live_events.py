"""Events from pages: each is answered, whatever happens, and nobody hears what is not for them."""

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from live_client import Page
from live_lab import Input, Lab
from live_processes import LiveGroup, wait_until
from sqlalchemy import select

from telepsych.audit.models import AuditRow, Outcome
from telepsych.web import live

PROBLEM = {"ok", "status", "title", "detail"}


@pytest.fixture
def page(sqlite_group: LiveGroup) -> Page:
    return Page(sqlite_group.port, sqlite_group.lab.sign_in())


@pytest.mark.parametrize(
    ("name", "data", "status"),
    [
        ("lab:unknown", [{}], 404),
        ("__proto__", [], 404),
        ("lab:echo", [], 422),
        ("lab:echo", [{}], 422),
        ("lab:echo", [None], 422),
        ("lab:echo", [[1]], 422),
        ("lab:echo", ["n"], 422),
        ("lab:echo", [{"n": "7"}], 422),
        ("lab:echo", [{"n": 7, "more": 1}], 422),
        ("lab:small", [{"n": 1, "text": "x" * 101}], 413),
        ("lab:refused", [{}], 403),
        ("lab:unasked", [{}], 500),
    ],
)
def test_what_cannot_be_done_is_answered_with_a_problem(page: Page, name: str, data: list, status: int) -> None:
    answer = page.emit(name, *data)
    assert set(answer) - {"reference"} == PROBLEM
    assert (answer["ok"], answer["status"]) == (False, status)
    assert answer["detail"].endswith(".")
    assert page.emit("lab:echo", {"n": 1})["ok"], "the socket lives on"


def test_a_defect_is_logged_by_reference_and_without_content(sqlite_group: LiveGroup, page: Page) -> None:
    answer = page.emit("lab:defect", {"n": 1, "text": "canary-9f2c lithium"})
    assert answer["status"] == 500
    log = sqlite_group.log.read_text()
    assert f"defect {answer['reference']} RuntimeError" in log
    assert "canary-9f2c" not in log
    assert "canary-9f2c" not in json.dumps(answer)


def test_too_many_are_refused_for_this_socket_alone(sqlite_group: LiveGroup, page: Page) -> None:
    answers = [page.emit("lab:small", {"n": n}) for n in range(5)]
    assert [answer["ok"] for answer in answers] == [True, True, True, False, False]
    assert (answers[3]["status"], answers[3]["retry_after"]) == (429, 20)
    assert page.emit("lab:echo", {"n": 1})["ok"], "other events have their own rate"
    other = Page(sqlite_group.port, sqlite_group.lab.sign_in())
    assert other.emit("lab:small", {"n": 1})["ok"]


def test_a_refusal_is_in_the_audit_trail_once(live_group: LiveGroup) -> None:
    lab, who = live_group.lab, live_group.lab.sign_in()
    page = Page(live_group.port, who)
    for _ in range(5):
        assert page.emit("lab:refused", {})["detail"] == "Only the clinician can do this."

    def entries() -> list[AuditRow]:
        mine = select(AuditRow).where(AuditRow.actor_id == who.person, AuditRow.outcome == Outcome.REFUSED)
        return lab.do(lambda work: list(work.session.scalars(mine)))

    wait_until(lambda: bool(entries()))
    assert page.emit("lab:echo", {"n": 1})["ok"]
    assert [(row.about, row.session_id) for row in entries()] == [("event:lab:refused", who.session)]


def test_a_refused_ticket_is_in_the_audit_trail(live_group: LiveGroup) -> None:
    who = live_group.lab.sign_in()
    assert not Page(live_group.port, who, ticket="made-up").let_in
    mine = select(AuditRow.about).where(AuditRow.actor_id == who.person)
    wait_until(lambda: live_group.lab.do(lambda work: list(work.session.scalars(mine))) == ["live:ticket"])


def test_news_reaches_every_page_of_its_people_and_nobody_else(live_group: LiveGroup) -> None:
    lab, port = live_group.lab, live_group.port
    who, stranger = lab.sign_in(), lab.sign_in()
    pages = [Page(port, who), Page(port, who), Page(port, lab.sign_in(who.person))]
    other = Page(port, stranger)
    conversation = uuid4()
    lab.tell([who.person], "conversation:news", conversation=conversation, seq=41)
    for page in pages:
        page.hear(lambda page: bool(page.events))
        assert page.events == [("conversation:news", {"conversation": str(conversation), "seq": 41})]
    lab.tell([stranger.person], "queue:news", n=1)
    other.hear(lambda page: bool(page.events))
    assert other.events == [("queue:news", {"n": 1})]


def test_only_known_news_is_passed_on(live_group: LiveGroup) -> None:
    lab, who = live_group.lab, live_group.lab.sign_in()
    page = Page(live_group.port, who)
    for name in ("lab:private", "connect", "message", "lab:mail", "visit:news"):
        lab.tell([who.person], name, n=1)
    page.hear(lambda page: bool(page.named("visit:news")))
    assert [name for name, _ in page.events] == ["lab:mail", "visit:news"]
    assert page.named("lab:mail")[0]["from_worker"] in live_group.workers(), "brought by its own courier"


def test_a_handler_speaks_to_people_in_its_process(live_group: LiveGroup) -> None:
    lab, port = live_group.lab, live_group.port
    here, other = lab.sign_in(), lab.sign_in()
    first, second = Page(port, here), Page(port, other)
    assert first.emit("lab:relay", {"person": str(other.person), "n": 5})["here"] == 1
    second.hear(lambda page: bool(page.events))
    assert second.events == [("lab:relayed", {"n": 5})]
    assert first.events == []
    assert first.emit("lab:relay", {"person": str(uuid4()), "n": 5})["here"] == 0


def test_a_handler_writes_and_its_news_comes_back(live_group: LiveGroup) -> None:
    lab, port = live_group.lab, live_group.port
    senders = [Page(port, lab.sign_in()) for _ in range(6)]
    reader = lab.sign_in()
    page = Page(port, reader)

    def send(number: int) -> bool:
        asked = {"person": str(reader.person), "n": number}
        return bool(senders[number].emit("lab:announce", asked)["ok"])

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(send, range(6)))
    page.hear(lambda page: len(page.events) == 6)
    assert sorted(data["seq"] for data in page.named("conversation:news")) == list(range(6))


def test_a_database_that_is_slow_to_write_stops_only_who_writes(sqlite_group: LiveGroup) -> None:
    lab, port = sqlite_group.lab, sqlite_group.port
    reader, writer, who = Page(port, lab.sign_in()), Page(port, lab.sign_in()), lab.sign_in()
    ticket = who.ticket()
    asked = {"person": str(who.person), "n": 1}
    with ThreadPoolExecutor(2) as pool:
        with lab.practice.records.execution_options(telepsych_writes=True).begin():
            announcing = pool.submit(writer.emit, "lab:announce", asked)
            arriving = pool.submit(Page, port, who, ticket)
            for _ in range(200):
                assert reader.emit("lab:echo", {"n": 1})["ok"]
            assert not announcing.done()
            assert not arriving.done()
        assert announcing.result()["ok"]
        assert arriving.result().let_in


def test_answers_come_in_the_order_of_the_questions(page: Page) -> None:
    for n in range(150):
        page.ws.send(f'42{n}["lab:echo",{{"n":{n}}}]')
    said = []
    while len(said) < 150:
        kind, number, body = page._packet()
        assert kind == "3"
        said.append((int(number), json.loads(body)[0]["n"]))
    assert said == [(n, n) for n in range(150)]


def test_rooms_hear_of_coming_and_going(sqlite_group: LiveGroup) -> None:
    lab, port = sqlite_group.lab, sqlite_group.port
    watcher, who, refused = Page(port, lab.sign_in()), lab.sign_in(), lab.sign_in()
    visitor = Page(port, who)
    assert watcher.seen(who) == ["came"]
    visitor.close()
    wait_until(lambda: watcher.seen(who) == ["came", "went"])
    assert not Page(port, refused, ticket="made-up").let_in
    assert watcher.seen(refused) == []


@pytest.mark.parametrize("goodbye", ["41", "1", None])
def test_however_a_page_goes_it_has_left_once(sqlite_group: LiveGroup, goodbye: str | None) -> None:
    lab, port = sqlite_group.lab, sqlite_group.port
    watcher, who = Page(port, lab.sign_in()), lab.sign_in()
    page = Page(port, who)
    if goodbye:
        page.ws.send(goodbye)
    page.ws.sock.close()
    wait_until(lambda: "went" in watcher.seen(who))
    lab.tell([who.person], "queue:news", n=1)
    assert watcher.seen(who) == ["came", "went"]


def test_two_handlers_or_couriers_for_one_name_are_a_defect() -> None:
    assert live.events["lab:echo"].schema.__name__ == "Echo"
    with pytest.raises(ValueError, match="two handlers"):
        live.event("lab:echo", Input, rate=(1, 1))(lambda caller, data: None)
    with pytest.raises(ValueError, match="two couriers"):
        live.on_news("lab:mail")(lambda sockets, news: None)


def test_the_threaded_worker_does_the_same(lab: Lab, start_group) -> None:
    with start_group(lab, kind="gthread") as group:
        who = lab.sign_in()
        page = Page(group.port, who)
        assert page.emit("lab:echo", {"n": 3})["n"] == 3
        assert page.emit("lab:unknown")["status"] == 404
        assert page.emit("lab:announce", {"person": str(who.person), "n": 8})["ok"]
        page.hear(lambda page: page.named("conversation:news") == [{"seq": 8}])
        who.sign_out()
        page.hear(lambda page: page.closed)
        assert page.events[-1] == ("signed-out", {"locked": False})
