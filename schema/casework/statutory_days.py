"""Name the days that are off by law (法定节假日), for years whose calendar is not published yet.

Source: 全国年节及纪念日放假办法, as amended by State Council Decree 795, in force since 2025-01-01.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from types import MappingProxyType

NEW_YEAR, SPRING_FESTIVAL, TOMB_SWEEPING, LABOUR = "元旦", "春节", "清明节", "劳动节"
DRAGON_BOAT, MID_AUTUMN, NATIONAL = "端午节", "中秋节", "国庆节"
DECREE_795 = 2025
"""From this year on, 2 May and the eve of the Spring Festival are off by law too."""
DAY = timedelta(days=1)

_LUNAR: Mapping[int, tuple[str, str, str, str]] = {
    2025: ("01-29", "04-04", "05-31", "10-06"),
    2026: ("02-17", "04-05", "06-19", "09-25"),
    2027: ("02-06", "04-05", "06-09", "09-15"),
    2028: ("01-26", "04-04", "05-28", "10-03"),
    2029: ("02-13", "04-04", "06-16", "09-22"),
    2030: ("02-03", "04-05", "06-05", "09-12"),
    2031: ("01-23", "04-05", "06-24", "10-01"),
    2032: ("02-11", "04-04", "06-12", "09-19"),
    2033: ("01-31", "04-04", "06-01", "09-08"),
    2034: ("02-19", "04-05", "06-20", "09-27"),
    2035: ("02-08", "04-05", "06-10", "09-16"),
}
"""First day of the Spring Festival, Tomb-Sweeping Day, Dragon Boat and Mid-Autumn Festival, as month and day."""


def knows_lunar_days(year: int) -> bool:
    """Return whether the days of this year are known that follow the moon or the sun."""
    return year in _LUNAR


@cache
def fixed_days(year: int) -> Mapping[date, str]:
    """Return the days off by law that have the same date in each year, with the names of their holidays."""
    days = {date(year, 1, 1): NEW_YEAR, date(year, 5, 1): LABOUR}
    days |= {date(year, 10, day): NATIONAL for day in (1, 2, 3)}
    if year >= DECREE_795:
        days[date(year, 5, 2)] = LABOUR
    return MappingProxyType(days)


@cache
def statutory_days(year: int) -> Mapping[date, str]:
    """Return all days off by law that are known of a year, with the names of their holidays."""
    days = dict(fixed_days(year))
    if year in _LUNAR:
        spring, tomb, boat, moon = (date.fromisoformat(f"{year}-{day}") for day in _LUNAR[year])
        days |= {spring + offset * DAY: SPRING_FESTIVAL for offset in (-1, 0, 1, 2)}
        days |= {tomb: TOMB_SWEEPING, boat: DRAGON_BOAT, moon: MID_AUTUMN}
    return MappingProxyType(days)
