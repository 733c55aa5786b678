"""Reports of browsers about what the content security policy stopped: counted, never with what was on the page.

A report can hold addresses with ids and pieces of a script. Kept are the day, the directive, the page's pattern (never
its address) and what kind of thing was stopped; one row for each such kind, with a count.
"""

import json
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, request
from sqlalchemy import delete, func, select, update
from werkzeug.exceptions import HTTPException

from telepsych.core.actor import Decision
from telepsych.core.clock import DAY
from telepsych.core.work import Work
from telepsych.web.doors import begin, public
from telepsych.web.models import PolicyReport

bp = Blueprint("reports", __name__)

PATH = "/csp-reports"
LARGEST = 16 * 1024
MOST_IN_ONE = 20
MOST_KINDS = 500
"""Kinds of reports kept for a day: a client that invents more is not heard."""
KEPT = 30 * DAY
DIRECTIVES = frozenset(
    {
        *("default-src", "script-src", "script-src-elem", "script-src-attr", "style-src", "style-src-elem"),
        *("style-src-attr", "img-src", "font-src", "media-src", "connect-src", "worker-src", "manifest-src"),
        *("base-uri", "object-src", "form-action", "frame-ancestors", "frame-src", "child-src"),
        *("require-trusted-types-for", "trusted-types"),
    }
)
KEYWORDS = frozenset(
    {"inline", "eval", "wasm-eval", "data", "blob", "self", "trusted-types-policy", "trusted-types-sink"}
)


@bp.post(PATH)
@public("content policy reports")
def take() -> Response:
    """Both forms that browsers send: `application/csp-report` and `application/reports+json`."""
    if (request.content_length or 0) <= LARGEST:
        kinds = [kind for kind in map(_kind_of, _reports(request.get_data(cache=False))) if kind]
        if kinds:
            with begin(public="content policy reports") as work:
                for directive, page, stopped in kinds:
                    note(work, directive, page, stopped)
    return Response(status=204)


def note(work: Work, directive: str, page: str, stopped: str) -> None:
    """Count one report."""
    work.require(Decision(True))
    day = work.now - work.now % DAY
    same = (
        PolicyReport.day == day,
        PolicyReport.directive == directive,
        PolicyReport.page == page,
        PolicyReport.stopped == stopped,
    )
    if work.changed(update(PolicyReport).where(*same).values(count=PolicyReport.count + 1)):
        return
    kinds = work.session.scalar(select(func.count()).select_from(PolicyReport).where(PolicyReport.day == day))
    if (kinds or 0) < MOST_KINDS:
        work.add(PolicyReport(day=day, directive=directive, page=page, stopped=stopped, count=1))
        work.session.flush()


def counted(work: Work, since: int) -> int:
    """How many reports came in since a moment, for `telepsych doctor`."""
    work.require(Decision(work.actor.is_system))
    return int(work.session.scalar(select(func.sum(PolicyReport.count)).where(PolicyReport.day >= since - DAY)) or 0)


def drop_old(work: Work) -> None:
    """Delete counts that are over. A job of the worker."""
    work.require(Decision(work.actor.is_system))
    old = delete(PolicyReport).where(PolicyReport.day < work.now - KEPT)
    work.session.execute(old, execution_options={"synchronize_session": False})


def _reports(body: bytes) -> list[dict[str, Any]]:
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return []
    if isinstance(read, dict):
        return [one for one in (read.get("csp-report"),) if isinstance(one, dict)]
    if not isinstance(read, list):
        return []
    bodies = [one.get("body") for one in read[:MOST_IN_ONE] if isinstance(one, dict)]
    return [one for one in bodies if isinstance(one, dict)]


def _kind_of(report: dict[str, Any]) -> tuple[str, str, str] | None:
    directive = str(report.get("effective-directive") or report.get("effectiveDirective") or "")
    if directive not in DIRECTIVES:
        return None
    page = str(report.get("document-uri") or report.get("documentURL") or "")
    return (
        directive,
        _pattern_of(page),
        _kind_of_thing(str(report.get("blocked-uri") or report.get("blockedURL") or "")),
    )


def _pattern_of(address: str) -> str:
    """The pattern of the route that made a page: its address holds ids."""
    try:
        rule, _ = current_app.url_map.bind(request.host).match(urlsplit(address).path, return_rule=True)
    except (HTTPException, ValueError):
        return "elsewhere"
    return rule.rule[:96]


def _kind_of_thing(blocked: str) -> str:
    if blocked in KEYWORDS:
        return blocked
    try:
        scheme = urlsplit(blocked).scheme
    except ValueError:
        return "unknown"
    return f"{scheme} address" if scheme in ("http", "https", "ws", "wss", "data", "blob") else "unknown"
