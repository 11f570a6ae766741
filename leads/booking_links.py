"""The link by which a lead books a meeting: the pipeline's, with the lead's mark in it. Pure.

Cal.com hands back `metadata[lead]`, Calendly `utm_content`; on whatever host a calendar runs, the one it does not know
is nothing to it.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

CALCOM, CALENDLY = "metadata[lead]", "utm_content"


def wrong(url: str) -> str | None:
    """Return what is wrong with a booking address; None when nothing is. An empty one is none."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return f"“{url[:60]}” is no address"
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or any(map(str.isspace, url.strip()))):
        return f"“{url[:60]}” is no address that a browser opens: it begins with https://"
    return None


def link(booking_url: str, lead_id: UUID) -> str | None:
    """Return the address with the lead's mark; None where the pipeline has none."""
    url = booking_url.strip()
    if not url or wrong(url):
        return None
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    marks = {CALCOM, CALENDLY}
    if host == "calendly.com" or host.endswith(".calendly.com"):
        marks = {CALENDLY}
    elif host == "cal.com" or host.endswith(".cal.com"):
        marks = {CALCOM}
    query = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key not in marks]
    query += [(mark, str(lead_id)) for mark in (CALCOM, CALENDLY) if mark in marks]
    return urlunsplit(parts._replace(query=urlencode(query, safe="[]")))
