"""Everything people read goes through `gettext`. The web chooses the language; jobs and commands speak English."""

from contextvars import ContextVar
from gettext import NullTranslations

_catalogue: ContextVar[NullTranslations] = ContextVar("catalogue", default=NullTranslations())  # noqa: B039


def use(catalogue: NullTranslations) -> None:
    """Speak from this catalogue for the rest of the request or task."""
    _catalogue.set(catalogue)


def gettext(message: str) -> str:
    """The message in the current language."""
    return _catalogue.get().gettext(message)


def ngettext(one: str, many: str, count: int) -> str:
    """The message for this count in the current language."""
    return _catalogue.get().ngettext(one, many, count)
