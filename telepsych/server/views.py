"""Whether this process is alive, and whether it can work: for supervisors and proxies, so anybody may ask."""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from telepsych.server import health
from telepsych.web.doors import practice, public

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@public("health")
def healthz() -> ResponseReturnValue:
    """Alive: this process answers."""
    return "ok", {"Content-Type": "text/plain; charset=utf-8"}


@bp.get("/readyz")
@public("health")
def readyz() -> ResponseReturnValue:
    """Ready to work, or the parts that are not; what exactly is wrong is for `telepsych doctor` to say."""
    faults = sorted({fault.part for fault in health.readiness(practice)})
    if faults:
        return jsonify(ready=False, faults=faults), 503
    return jsonify(ready=True)
