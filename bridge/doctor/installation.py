"""Are the static files of this version, and which settings are weak?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from bridge import checks, static_files
from bridge.doctor.finding import Finding


def check_static_files(now: datetime) -> Iterator[Finding]:
    if not static_files.collects():
        return
    remedy = _("run manage.py collectstatic --noinput, then restart the web server")
    names = static_files.uncollected()
    if not static_files.was_collected():
        yield Finding("static files", _("never collected: pages load slowly"), remedy)
    elif names:
        message = _("%(count)d are not those of this version, %(example)s for one")
        yield Finding("static files", message % {"count": len(names), "example": names[0]}, remedy)
    else:
        yield Finding("static files", _("collected"))


def check_settings(now: datetime) -> Iterator[Finding]:
    for text, advice in checks.weaknesses():
        # It works, and somebody may have their reasons: said, and no alarm.
        yield Finding("settings", text, advice=advice)
