"""By which clock does a lead wake and sleep? What was stated, then the phone's area, then the pipeline's."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import available_timezones

from phonenumbers import NumberParseException, timezone
from phonenumbers import parse as parse_number

# Where the data is wrong for mobiles: Noronha for all of 81, which its 3 000 islanders share with Recife's millions,
# and Manaus, an hour behind, for the west and the south-east of Pará.
AREAS_TO_MEND = {"+5581": "America/Recife", "+5593": "America/Santarem", "+5594": "America/Belem"}


def is_zone(name: str) -> bool:
    return name in known_zones()


def zone_of(phone: str | None, stated: object, default: str) -> str:
    """Return the lead's time zone: what was stated, then the phone's when it lies in one alone, then the pipeline's."""
    if isinstance(stated, str) and is_zone(stated):
        return stated
    return (_zone_of_phone(phone) if phone else None) or default


@lru_cache(maxsize=4096)
def _zone_of_phone(phone: str) -> str | None:
    if mended := AREAS_TO_MEND.get(phone[:5]):
        return mended
    try:
        zones = timezone.time_zones_for_number(parse_number(phone))
    except NumberParseException:
        return None
    [zone, *others] = zones or ("",)
    return zone if zone in known_zones() and not others else None


@lru_cache(maxsize=1)
def known_zones() -> frozenset[str]:
    return frozenset(available_timezones())
