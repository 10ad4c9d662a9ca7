"""Days between dates, and the date some time after another; the calendar is the Gregorian one."""

import calendar
from datetime import date, timedelta

from journeyman.errors import ToolError


def read(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ToolError(f"{text[:40]!r} is no date; write it like 2026-11-22") from None


def between(start: str, end: str) -> str:
    """`31 days (4 weeks and 3 days)`; negative where the end comes first."""
    days = (read(end) - read(start)).days
    weeks, rest = divmod(abs(days), 7)
    parts = " and ".join(_plural(count, noun) for count, noun in ((weeks, "week"), (rest, "day")) if count)
    return f"{_plural(days, 'day')} ({parts})" if weeks else _plural(days, "day")


def after(start: str, days: int, weeks: int, months: int, years: int) -> str:
    """`2026-02-28 (Saturday)`; a day that its month lacks becomes the last one it has."""
    begin = read(start)
    count = begin.year * 12 + begin.month - 1 + months + years * 12
    try:
        year, month = divmod(count, 12)
        last = calendar.monthrange(year, month + 1)[1]
        found = date(year, month + 1, min(begin.day, last)) + timedelta(days=days, weeks=weeks)
    except (ValueError, OverflowError, IndexError):
        raise ToolError("that is before the year 1 or after the year 9999") from None

    return f"{found.isoformat()} ({calendar.day_name[found.weekday()]})"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if abs(count) == 1 else 's'}"
