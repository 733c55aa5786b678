"""The call lab: a small server with pages for the visit's browser modules, a signalling mailbox and nothing else."""

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

LAB = Path(__file__).parent / "call_lab"
STATIC = Path(__file__).parents[2] / "telepsych" / "static"
VISIT = "a-visit"
POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; media-src 'self' blob:; img-src 'self' data:"
KINDS = {".js": "text/javascript", ".html": "text/html; charset=utf-8"}
NAMES = {"ada": "Ada Example", "ben": "Ben Example", "cam": "Cam Example", "dee": "Dee Example"}


class Lab:
    """What the server knows: who is present, what pages have posted, and how it is told to misbehave."""

    def __init__(self, ice: Callable[[str], dict[str, Any]]) -> None:
        self.ice = ice
        self.inboxes: dict[str, queue.Queue[dict[str, Any] | None]] = {}
        self.present: list[str] = []
        self.posted: list[tuple[str, str, dict[str, Any]]] = []
        self.signals: list[dict[str, Any]] = []
        self.state = {"state": "waiting", "sentence": "Ada knows you are here."}
        self.late_descriptions = 0.0
        self.configs_asked = 0
        self.wrong_passes = 0
        self.lock = threading.RLock()
        self.origin = ""

    def clear(self) -> None:
        """Forget an earlier test."""
        with self.lock:
            self.present, self.posted, self.signals = [], [], []
            self.late_descriptions, self.configs_asked, self.wrong_passes = 0.0, 0, 0
            self.state = {"state": "waiting", "sentence": "Ada knows you are here."}

    def config(self, me: str) -> dict[str, Any]:
        self.configs_asked += 1
        ice = self.ice(me)
        if self.wrong_passes:
            self.wrong_passes -= 1
            ice["iceServers"][0]["credential"] = "wrong"
        return {
            "visit": VISIT,
            "me": me,
            "participants": [{"id": key, "name": name} for key, name in NAMES.items()],
            "ice": ice,
            "heartbeat_url": f"/heartbeat?me={me}",
            "leave_url": f"/leave?me={me}",
            "direct_allowed": False,
        }

    def tell(self, to: str, event: str, **data: Any) -> None:
        inbox = self.inboxes.get(to)
        if inbox is not None:
            inbox.put({"event": event, "data": {"visit": VISIT, **data}})

    def take(self, me: str, event: str, data: dict[str, Any]) -> dict[str, Any]:
        """An event of a page."""
        with self.lock:
            if event == "presence":
                self._set_present(me, data["here"])
            else:
                self._pass_on(me, data["to"], data["payload"])
        return {"ok": True}

    def gone(self, me: str, inbox: object) -> None:
        """A page's connection broke; a page that has already come back stays."""
        with self.lock:
            if self.inboxes.get(me) is inbox:
                del self.inboxes[me]
                self._set_present(me, False)

    def posts(self, path: str, me: str) -> list[dict[str, Any]]:
        return [body for at, who, body in list(self.posted) if (at, who) == (path, me)]

    def _set_present(self, me: str, here: bool) -> None:
        self.present = [each for each in self.present if each != me] + [me] * here
        for each in self.present:
            self.tell(each, "presence", present=self.present, **({"newcomer": me} if here else {}))

    def _pass_on(self, me: str, to: str, payload: dict[str, Any]) -> None:
        self.signals.append({"from": me, "to": to, "payload": payload})
        if self.late_descriptions and payload["kind"] == "description":
            threading.Timer(
                self.late_descriptions, self.tell, (to, "visit:signal"), {"from": me, "payload": payload}
            ).start()
        else:
            self.tell(to, "visit:signal", **{"from": me, "payload": payload})


class Handler(BaseHTTPRequestHandler):
    lab: Lab
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    @property
    def me(self) -> str:
        return parse_qs(urlsplit(self.path).query).get("me", ["nobody"])[0]

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/events":
            return self._stream()
        if path == "/config":
            return self._json(self.lab.config(self.me))
        if path == "/state":
            return self._json(self.lab.state)
        self._file(path)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        path = urlsplit(self.path).path
        if path == "/emit":
            return self._json(self.lab.take(self.me, body["event"], body["data"]))
        if self.headers["X-CSRF-Token"] != "lab-token":
            return self._json({"detail": "no token"}, 403)
        self.lab.posted.append((path, self.me, body))
        self._json({})

    def _file(self, path: str) -> None:
        place = _place_of(path)
        if place is None or not place.is_file():
            return self._json({}, 404)
        text = place.read_text(encoding="utf-8")
        if place.suffix == ".html":
            text = text.replace("{me}", self.me)
        self._answer(text.encode(), KINDS[place.suffix])

    def _json(self, data: object, status: int = 200) -> None:
        self._answer(json.dumps(data).encode(), "application/json", status)

    def _answer(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        inbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.lab.inboxes[self.me] = inbox
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            while True:
                self.wfile.write(_next_line(inbox))
                self.wfile.flush()
        except OSError:
            self.lab.gone(self.me, inbox)


def _next_line(inbox: "queue.Queue[dict[str, Any] | None]") -> bytes:
    try:
        return f"data: {json.dumps(inbox.get(timeout=0.3))}\n\n".encode()
    except queue.Empty:
        return b": still here\n\n"


def _place_of(path: str) -> Path | None:
    if path == "/static/shared/live.js":
        return LAB / "live.js"
    if path.startswith("/static/visits/"):
        return STATIC / "visits" / Path(path).name
    if path.startswith("/lab/"):
        return LAB / Path(path).name
    return LAB / f"{Path(path).name}.html"


@contextmanager
def call_lab(ice: Callable[[str], dict[str, Any]]) -> Iterator[Lab]:
    """A running lab; `ice(me)` makes each page's ICE configuration."""
    lab = Lab(ice)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("LabHandler", (Handler,), {"lab": lab}))
    server.daemon_threads = True
    lab.origin = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield lab
    finally:
        server.shutdown()
        server.server_close()
