"""Moments as people read them, where the practice is: the template filters for days and times.

Moments are microseconds UTC; an ISO date string is taken for a day.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from babel.dates import format_date, format_skeleton, format_time, get_timezone_name

from telepsych.core.clock import DAY, HOUR, MINUTE, from_micros
from telepsych.core.words import gettext, ngettext
from telepsych.web.doors import practice

LOCALE = "en_US"


def day(moment: int) -> str:
    """Thursday, November 26"""
    return _plain(format_date(_local(moment), gettext("EEEE, MMMM d"), locale=LOCALE))


def time(moment: int) -> str:
    """2:30 PM"""
    return _plain(format_time(_local(moment), "short", locale=LOCALE))


def daytime(moment: int) -> str:
    """Thursday, November 26 at 2:30 PM (Eastern)"""
    return gettext("%(day)s at %(time)s (%(zone)s)") % {"day": day(moment), "time": time(moment), "zone": zone(moment)}


def zone(moment: int) -> str:
    """Eastern"""
    name = get_timezone_name(_local(moment), width="long", zone_variant="generic", locale=LOCALE)
    return str(name).removesuffix(" Time")


def short(moment: int) -> str:
    """Nov 26, 2:30 PM; today only the time; with the year when it is another."""
    at, today = _local(moment), _local(practice.clock.now()).date()
    if at.date() == today:
        return time(moment)
    return f"{short_day(moment)}, {time(moment)}"


def short_day(moment: int) -> str:
    """Nov 26, or Nov 26, 2025 when it is another year."""
    return _short_date(_local(moment).date())


def until(moment: int) -> str:
    """12 min, 1 h 20 m, 3 days: how long from now. What is past says "12 min late"."""
    left = moment - practice.clock.now()
    if left < 0:
        return gettext("%(time)s late") % {"time": span(-left)}
    return span(left)


def ago(moment: int) -> str:
    """12 min ago"""
    passed = max(practice.clock.now() - moment, 0)
    return gettext("just now") if passed < MINUTE else gettext("%(time)s ago") % {"time": span(passed)}


def span(micros: int) -> str:
    """12 min, 1 h 20 m, 3 days"""
    if micros >= 2 * DAY:
        days = micros // DAY
        return ngettext("%(count)s day", "%(count)s days", days) % {"count": days}
    hours, minutes = micros // HOUR, micros % HOUR // MINUTE
    if not hours:
        return gettext("%(minutes)s min") % {"minutes": minutes}
    if not minutes:
        return gettext("%(hours)s h") % {"hours": hours}
    return gettext("%(hours)s h %(minutes)s m") % {"hours": hours, "minutes": f"{minutes:02}"}


def date_iso(text: str) -> str:
    """November 26, 2026, of an ISO date; anything else is shown as it is."""
    try:
        return _plain(format_date(date.fromisoformat(text[:10]), "long", locale=LOCALE))
    except (TypeError, ValueError):
        return text


def short_iso(text: str) -> str:
    """Nov 26 (with the year when it is another), of an ISO date."""
    try:
        return _short_date(date.fromisoformat(text[:10]))
    except (TypeError, ValueError):
        return text


def machine(moment: int) -> str:
    """The moment as `<time datetime>` wants it."""
    return from_micros(moment).isoformat(timespec="seconds")


def _short_date(which: date) -> str:
    same_year = which.year == _local(practice.clock.now()).year
    return _plain(format_skeleton("MMMd" if same_year else "yMMMd", which, locale=LOCALE))


def _local(moment: int) -> datetime:
    return from_micros(moment, practice.settings.tz)


def _plain(text: str) -> str:
    """Spaces that hold "2:30 PM" together on a line: the thin ones in CLDR's times are in none of our fonts."""
    return text.replace("\u202f", "\xa0")


FILTERS: dict[str, Callable[..., Any]] = {
    "day": day,
    "time": time,
    "daytime": daytime,
    "zone": zone,
    "short": short,
    "short_day": short_day,
    "until": until,
    "ago": ago,
    "span": span,
    "date_iso": date_iso,
    "short_iso": short_iso,
    "machine": machine,
}
