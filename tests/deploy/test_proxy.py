"""The shipped nginx configuration, run as it is: it passes on what it understood and nothing else (H9)."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.proxy import NAME, QUIET, Proxy, proxied
from deploy.smuggling import CORPUS

pytestmark = pytest.mark.live

LIES = {
    "address": "X-Forwarded-For: 203.0.113.77",
    "several addresses": "X-Forwarded-For: 203.0.113.77, 127.0.0.1",
    "two lines": "X-Forwarded-For: 203.0.113.77\r\nX-Forwarded-For: 203.0.113.78",
    "underscores": "X_Forwarded_For: 203.0.113.77",
    "scheme": "X-Forwarded-Proto: http",
    "host": "X-Forwarded-Host: evil.example",
    "forwarded": "Forwarded: for=203.0.113.77;host=evil.example;proto=http",
    "real address": "X-Real-IP: 203.0.113.77",
    "client address": "X-Client-IP: 203.0.113.77",
    "cluster": "X-Cluster-Client-IP: 203.0.113.77",
    "original url": "X-Original-URL: /readyz",
    "rewritten url": "X-Rewrite-URL: /readyz",
    "method": "X-HTTP-Method-Override: DELETE",
    "prefix": "X-Forwarded-Prefix: /evil",
    "script name": "Script-Name: /evil",
    "port": "X-Forwarded-Port: 1",
    "drop a header": "Connection: close, X-Forwarded-For, Cookie",
}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxied(tmp_path_factory.mktemp("deploy")) as running:
        assert b"200 OK" in running.says(page("/sign-in"))[:20]
        yield running


def page(path: str, *headers: str, host: str = NAME) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *headers, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1")


@pytest.mark.parametrize("name", CORPUS)
def test_what_reaches_the_pages_is_what_nginx_understood(proxy: Proxy, name: str) -> None:
    """One for one: a request that only the second server sees was smuggled."""
    proxy.says(CORPUS[name], QUIET)
    assert b"200 OK" in proxy.says(page("/sign-in"))[:20]
    smuggled = Counter(one["line"] for one in proxy.reached()) - Counter(proxy.asked())
    assert smuggled == Counter()
    assert {one["HTTP_HOST"] for one in proxy.reached()} == {NAME}


@pytest.mark.parametrize("name", LIES)
def test_what_a_client_claims_about_itself_is_not_believed(proxy: Proxy, name: str) -> None:
    answer = proxy.says(page("/sign-in", LIES[name]))
    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
    assert b"evil" not in answer
    told = proxy.reached()[-1]
    assert (told["line"], told["from"]) == ("GET /sign-in", "127.0.0.1")
    assert (told["HTTP_X_FORWARDED_PROTO"], told["scheme"]) == ("https", "https")
    assert (told["HTTP_X_FORWARDED_HOST"], told["HTTP_FORWARDED"]) == ("", "")


@pytest.mark.parametrize("name", LIES)
def test_nor_is_it_where_sockets_are_opened(proxy: Proxy, name: str) -> None:
    upgrade = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    answer = proxy.says(page("/socket.io/?EIO=4&transport=websocket", *upgrade, LIES[name]))
    assert answer.startswith(b"HTTP/1.1 401")
    told = dict(line.split(": ", 1) for line in proxy.heard[-1].splitlines()[1:])
    assert (told["Host"], told["X-Forwarded-For"], told["X-Forwarded-Proto"]) == (NAME, "127.0.0.1", "https")
    assert (told["Upgrade"], told["Connection"]) == ("websocket", "upgrade")
    assert "Forwarded" not in told
    assert "evil" not in proxy.heard[-1].replace("X-Forwarded-Prefix: /evil", "").replace("Script-Name: /evil", "")


@pytest.mark.parametrize("host", ["evil.example", "visits.example.org.evil.example", "127.0.0.1", ""])
def test_another_name_gets_no_page(proxy: Proxy, host: str) -> None:
    before = len(proxy.reached())
    answer = proxy.says(page("/sign-in", host=host))
    assert b" 200 " not in answer[:20]
    assert b"evil" not in answer
    assert len(proxy.reached()) == before


def test_without_tls_there_is_only_the_way_to_it(proxy: Proxy) -> None:
    answer = proxy.says_plain(page("/sign-in?next=/", host="evil.example"))
    assert answer.startswith(b"HTTP/1.1 308")
    assert re.search(rb"Location: https://visits\.example\.org/sign-in", answer)


def test_health_is_not_for_everybody_and_the_log_holds_no_queries(proxy: Proxy, tmp_path: Path) -> None:
    proxy.says(page("/sign-in?next=/messages/secret"))
    assert "secret" not in proxy.log.read_text(encoding="utf-8")
    assert "deny all" in (Path(__file__).parents[2] / "config/deploy/nginx.conf").read_text(encoding="utf-8")


def test_more_than_the_limits_ends_at_the_proxy(proxy: Proxy) -> None:
    before = len(proxy.reached())
    assert b" 413 " in proxy.says(page("/sign-in", "Content-Length: 900000"))[:20]
    assert b" 400 " in proxy.says(page("/sign-in", f"X: {'y' * 40_000}"))[:20]
    assert len(proxy.reached()) == before


def test_cookies_are_bound_to_this_host_over_tls(proxy: Proxy) -> None:
    answer = proxy.says(page("/sign-in")).decode("latin-1")
    cookies = re.findall(r"^Set-Cookie: (.*)\r$", answer, re.MULTILINE)
    assert cookies
    assert all("Secure" in one and "HttpOnly" in one for one in cookies)
    assert "Strict-Transport-Security: max-age=63072000" in answer
