"""Texts that would run as a script if a page let them, and a browser that notices if one does."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from unittest import mock

from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page
from werkzeug.serving import make_server

HIT = "window.top.hit=1"
TEXTS = (
    f"<script>{HIT}</script>",
    f"<ScRiPt>{HIT}</sCrIpT>",
    f"<script src=data:text/javascript,{HIT}></script>",
    f"<script type=module>{HIT}</script>",
    f"<script>{HIT}//",
    f"</script><script>{HIT}</script>",
    f"</title><script>{HIT}</script>",
    f"</textarea><script>{HIT}</script>",
    f"</style><script>{HIT}</script>",
    f"--><script>{HIT}</script>",
    f"]]><script>{HIT}</script>",
    f"<img src=x onerror={HIT}>",
    f"<img src=x onerror='{HIT}'>",
    f'"><img src=x onerror="{HIT}">',
    f"'><img src=x onerror='{HIT}'>",
    f"<img/src='x'/onerror={HIT}>",
    f"<img src=`x` onerror={HIT}>",
    f"<image href=x onerror={HIT}>",
    f"<svg onload={HIT}>",
    f"<svg><script>{HIT}</script></svg>",
    f"<svg><animate onbegin={HIT} attributeName=x dur=1s>",
    f"<svg><a xlink:href='javascript:{HIT}'><text y=20>x</text></a></svg>",
    f"<math><mtext></form><form><mglyph><style></math><img src onerror={HIT}>",
    f"<body onload={HIT}>",
    f"<details open ontoggle={HIT}>x</details>",
    f"<input autofocus onfocus={HIT}>",
    f"<select autofocus onfocus={HIT}>",
    f"<video><source onerror={HIT}></video>",
    f"<audio src=x onerror={HIT}>",
    f"<iframe srcdoc='<script>{HIT}</script>'></iframe>",
    f"<iframe src='javascript:{HIT}'></iframe>",
    f"<object data='javascript:{HIT}'></object>",
    f"<embed src='javascript:{HIT}'>",
    f"<a href='javascript:{HIT}'>x</a>",
    f"<a href='&#106;avascript:{HIT}'>x</a>",
    f"<a href='java\tscript:{HIT}'>x</a>",
    f"<form action='javascript:{HIT}'><button>x</button></form>",
    f"<button formaction='javascript:{HIT}'>x</button>",
    "<base href='http://127.0.0.1:1/'>",
    f"<meta http-equiv=refresh content='0;url=javascript:{HIT}'>",
    "<meta http-equiv=refresh content='0;url=/sign-out'>",
    f"<link rel=stylesheet href='data:text/css,*{{background:url(javascript:{HIT})}}'>",
    f"<style>@import 'javascript:{HIT}';</style>",
    f"<div style='background:url(javascript:{HIT})'>x</div>",
    f"<marquee onstart={HIT}>x</marquee>",
    f"<template><script>{HIT}</script></template>",
    f"<noscript><p title='</noscript><img src=x onerror={HIT}>'>",
    f"<x onclick={HIT} id=x tabindex=1>x</x>",
    f"<a id=csrf-token name=hit href='javascript:{HIT}'>x</a>",
    f"javascript:{HIT}",
    f"data:text/html,<script>{HIT}</script>",
    f"';{HIT};//",
    f'";{HIT};//',
    f"`;{HIT};//",
    f"${{{HIT}}}",
    "{{constructor.constructor('window.top.hit=1')()}}",
    f"\u2028{HIT}\u2029",
)
WATCH = """
window.addEventListener("securitypolicyviolation", (event) => {
  (window.violations ??= []).push(`${event.effectiveDirective} ${event.blockedURI}`);
});
"""


@dataclass
class Watcher:
    """One person's browser, with everything that ran or tried to."""

    page: Page
    origin: str
    found: list[str] = field(default_factory=list)
    seen: int = 0

    def looks_at(self, path: str) -> bool:
        """Open a page and note what ran there. Whether it was a page at all."""
        answer = self.page.goto(f"{self.origin}{path}", wait_until="load")
        if answer is None or not answer.ok or "text/html" not in answer.headers.get("content-type", ""):
            return False
        self.seen += 1
        ran, stopped = self.page.evaluate("[window.hit ?? 0, window.violations ?? []]")
        self.found += [f"{path}: {one}" for one in [*(["a script ran"] if ran else []), *stopped]]
        return True


@contextmanager
def watched(browser: Browser, origin: str, token: str) -> Iterator[Watcher]:
    """A browser signed in by a session's token, which notices scripts, questions and reports."""
    context: BrowserContext = browser.new_context(base_url=origin)
    context.add_init_script(WATCH)
    context.add_cookies([{"name": "telepsych-session", "value": token, "url": origin}])
    watcher = Watcher(context.new_page(), origin)
    watcher.page.on("dialog", lambda asked: (watcher.found.append(f"asked: {asked.type}"), asked.dismiss()))
    try:
        yield watcher
    finally:
        context.close()


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The app on a port of its own; its origin. Sockets are looked for where the app's content policy lets them be."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        with mock.patch.dict(os.environ, {"TELEPSYCH_LIVE_PORT": "8001"}):
            yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
