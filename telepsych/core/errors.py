"""One family of errors: each has an HTTP status, a stable kind and a sentence that is safe to show.

Anything raised outside this family is a defect: it is logged under a reference and shown as an apology.
"""

import traceback
from typing import ClassVar

from telepsych.core.words import gettext


class TelepsychError(Exception):
    """Base of all expected errors. `sentence` is shown to people and never holds health information."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "error"

    def __init__(self, sentence: str | None = None) -> None:
        self.sentence = sentence or self.default_sentence()
        super().__init__(self.sentence)

    @classmethod
    def default_sentence(cls) -> str:
        return gettext("Something went wrong on our side. Nothing you typed was lost.")


class SignInNeeded(TelepsychError):
    """There is no session, or it has ended."""

    status = 401
    kind = "sign-in-needed"

    @classmethod
    def default_sentence(cls) -> str:
        return gettext("Please sign in to go on.")


class StepUpNeeded(TelepsychError):
    """The act asks for a factor shown in the last five minutes, and there is none."""

    status = 403
    kind = "step-up-needed"

    @classmethod
    def default_sentence(cls) -> str:
        return gettext("Please confirm that it is you before you go on.")


class Refused(TelepsychError):
    """The actor may see the thing but not do this to it."""

    status = 403
    kind = "refused"

    @classmethod
    def default_sentence(cls) -> str:
        return gettext("You can't do this here. If you think you should be able to, please call the practice.")


class NotFound(TelepsychError):
    """Not there, or not yours: the two look alike."""

    status = 404
    kind = "not-found"

    @classmethod
    def default_sentence(cls) -> str:
        return gettext("We couldn't find that page.")


class Conflict(TelepsychError):
    """The thing has changed since the actor looked."""

    status = 409
    kind = "conflict"

    @classmethod
    def default_sentence(cls) -> str:
        return gettext("This was changed in the meantime. Please look again before you go on.")


class TooLarge(TelepsychError):
    """The input is larger than we take."""

    status = 413
    kind = "too-large"

    @classmethod
    def default_sentence(cls) -> str:
        return gettext("That is more than we can take at once. Please shorten it and try again.")


class Invalid(TelepsychError):
    """The input cannot be used. `fields` maps a field's name to what to do about it."""

    status = 422
    kind = "invalid"

    def __init__(self, sentence: str | None = None, fields: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.fields = fields or {}

    @classmethod
    def default_sentence(cls) -> str:
        return gettext("Please check the marked answers.")


class TooMany(TelepsychError):
    """Too many attempts. `retry_after` is in seconds."""

    status = 429
    kind = "too-many"

    def __init__(self, sentence: str | None = None, retry_after: int = 60) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after

    @classmethod
    def default_sentence(cls) -> str:
        return gettext("That was tried too often. Please wait a moment and try again.")


class Unavailable(TelepsychError):
    """A part we depend on cannot answer now; nothing was saved."""

    status = 503
    kind = "unavailable"

    @classmethod
    def default_sentence(cls) -> str:
        return gettext("We can't save this right now. Please try again in a minute, or call the practice.")


class Misconfigured(TelepsychError):
    """Settings, keys or content are not usable; the program does not start."""

    kind = "misconfigured"


def kind_and_place(error: BaseException) -> str:
    """An error's type and the line that raised it, never what it says: that may quote what somebody typed."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
    return f"{type(error).__name__} at {where}"
