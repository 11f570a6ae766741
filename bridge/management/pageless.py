"""What our commands share: they show no pages, so they load none."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from bridge.checks import SETTINGS


class PagelessCommand(BaseCommand):
    """A command that starts after the checks of the settings alone.

    Others look at every address and every page of the admin, and loading those takes as long as all the rest of the
    start. `manage.py check` and the web server's start look at them.
    """

    requires_system_checks = [SETTINGS]
