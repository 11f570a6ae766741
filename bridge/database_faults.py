"""What does a person do about an error of the database? Told by its own words.

“Check that the server runs” helps nobody whose disk is full, or whose role may have no more connections.
"""

from __future__ import annotations

import re

# Not from the package: settings that cannot be read are told by what imports this.
from django.utils.translation.trans_null import gettext_noop

OTHERWISE = gettext_noop("check DATABASE_URL and that the server runs")
# Words of the error -> the remedy; the first that is found counts.
REMEDIES: tuple[tuple[str, str], ...] = (
    (
        r"too many (connections|clients)|connection slots",
        gettext_noop(
            "let the role and the server have more connections, or start fewer processes; "
            "docs/operating.md says how many each holds"
        ),
    ),
    (
        r"no space left|disk is full|disk i/o error|could not (extend|write)|quota exceeded",
        gettext_noop("free space on the database's disk, and see that it is whole; then everything goes on by itself"),
    ),
    (
        r"readonly|read-only|unable to open database file|permission denied",
        gettext_noop("let the bridge's user write the database: for SQLite its file and the folder of it"),
    ),
    (r"database is locked", gettext_noop("end what else writes to the database for long, or move to PostgreSQL")),
    (
        r"no such (table|column)|(relation|column) .* does not exist|undefined(table|column)",
        gettext_noop("run manage.py migrate"),
    ),
    (
        r"authentication failed|no password supplied|no pg_hba|(role|user|database) .* does not exist",
        gettext_noop("correct DATABASE_URL, or make the role and the database that it names"),
    ),
)


def remedy(error: Exception) -> str:
    """Return what to do about an error of the database, in English."""
    message = str(error)
    return next((what for words, what in REMEDIES if re.search(words, message, re.IGNORECASE | re.DOTALL)), OTHERWISE)


def first_line(error: Exception) -> str:
    return " ".join((str(error).strip() or type(error).__name__).splitlines()[0].split())[:200]
