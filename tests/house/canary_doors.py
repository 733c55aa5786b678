"""Doors through which nobody types anything: what is sent there unasked must not turn up anywhere either."""

from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from house.canary_story import Story

OF_A_PATIENT = (
    "/account/devices/{id}/end",
    "/account/devices/end-others",
    "/account/security/authenticator/remove",
    "/account/security/passkeys/{id}/remove",
    "/account/security/passkeys/options",
    "/sign-in/authenticator/passkey",
    "/sign-in/authenticator/passkey/options",
    "/sign-in/passkey",
    "/sign-in/passkey/options",
    "/step-up/passkey/options",
)
OF_A_MANAGER = (
    "/patients/{id}/proxies/{id}/recovery",
    "/people/{id}/invitation",
    "/people/{id}/leaving",
    "/people/{id}/roles/{id}/end",
    "/people/{id}/sessions/{id}/end",
    "/people/{id}/sessions/end",
    "/people/{id}/teams/{id}/end",
    "/practice/hours/open",
)
OF_MACHINES = ("/csp-reports", "/witness/add-checkpoint")


def doors_that_take_no_text(story: "Story") -> None:
    """Each is sent a canary that it did not ask for, and an id that names nothing."""
    doors = ((story.patient, OF_A_PATIENT), (story.cast.manager, OF_A_MANAGER), (story.cast.staff, OF_MACHINES))
    for who, paths in doors:
        someone = story.typist(who)
        for path in paths:
            unasked = {"unasked": story.canary(f"unasked at {path}")}
            answer = someone.open("POST", path.replace("{id}", str(uuid4())), data=unasked)
            assert answer.status_code < 500, f"{path}: {answer.status_code}"
