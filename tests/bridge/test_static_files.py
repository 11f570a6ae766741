"""A forgotten collectstatic costs speed, never a page, and is said by everybody who could know."""

from __future__ import annotations

import os

import pytest
from django.core import checks
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone

from bridge import doctor, static_files

PRODUCTION = {"BACKEND": "bridge.static_files.Storage"}


@pytest.fixture
def root(tmp_path, settings):
    """An empty place to collect into, and the storage of production."""
    with override_settings(STATIC_ROOT=str(tmp_path), STORAGES={**settings.STORAGES, "staticfiles": PRODUCTION}):
        yield tmp_path


def collect():
    call_command("collectstatic", interactive=False, verbosity=0)


def said_by_doctor():
    return [finding for finding in doctor.examine(timezone.now(), ask_kommo=False) if finding.check == "static files"]


def test_what_was_never_collected_has_its_plain_name_and_everybody_says_so(root, db):
    assert static_files.Storage().url("bridge/admin.css") == "/static/bridge/admin.css"
    assert [warning.id for warning in checks.run_checks() if warning.id == "bridge.W001"] == ["bridge.W001"]
    [finding] = said_by_doctor()
    assert "never collected" in finding.message and "collectstatic" in finding.remedy


def test_what_was_collected_is_in_order(root, db):
    collect()
    assert static_files.uncollected() == []
    assert not [warning for warning in checks.run_checks() if warning.id == "bridge.W001"]
    assert said_by_doctor()[0].is_well
    assert static_files.Storage().url("bridge/admin.css") != "/static/bridge/admin.css"


@pytest.mark.parametrize("harm", ["cut off", "older", "lost", "hashed lost"])
def test_what_is_not_of_this_version_is_found_and_served_all_the_same(root, db, harm):
    collect()
    copy, manifest = root / "bridge/admin.css", root / "staticfiles.json"
    if harm == "cut off":
        manifest.write_bytes(manifest.read_bytes()[:100])
    elif harm == "older":
        copy.write_text(copy.read_text().replace("kb-", "kc-"))
        os.utime(copy, (0, 0))
    elif harm == "lost":
        copy.unlink()
    else:
        (root / static_files.Storage().stored_name("bridge/admin.css")).unlink()

    assert "bridge/admin.css" in static_files.uncollected()
    assert not said_by_doctor()[0].is_well
    assert static_files.Storage().url("bridge/admin.css").startswith("/static/bridge/admin")


def test_with_debug_nothing_has_to_be_collected(db):
    assert said_by_doctor() == []
