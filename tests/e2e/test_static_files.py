"""A web server of production on which nobody ran collectstatic: every page, and every file it asks for."""

from __future__ import annotations

import re
import subprocess

import pytest
import requests

from bridge.demo.stage import MANAGE, Stage, free_port
from bridge.installed_paths import CODE
from tests.e2e.stack import give_migrated, port

pytestmark = pytest.mark.once

SETTINGS = """
from bridge.settings import *

STATIC_ROOT = {root!r}
"""


@pytest.fixture
def forgetful(tmp_path):
    """A stage in production's settings whose place for collected files does not exist."""
    (tmp_path / "forgetful.py").write_text(SETTINGS.format(root=str(tmp_path / "nothing-here")))
    extra = {
        "DEBUG": "false",
        "SECURE": "false",
        "DJANGO_SETTINGS_MODULE": "forgetful",
        "PYTHONPATH": f"{tmp_path}:{CODE}",
    }
    with Stage(tmp_path, web_port=free_port(port()), sandbox_port=0, extra=extra) as stage:
        give_migrated(tmp_path)
        stage.start_web()
        yield stage


def output_of(stage, *command):
    done = subprocess.run([*MANAGE, *command], env=stage.environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_login_and_documents_are_served_with_all_that_is_on_them_and_it_is_said(forgetful):
    for path in ("/admin/login/", "/api/docs/"):
        page = requests.get(forgetful.web_url + path, timeout=30)
        assert page.status_code == 200, path
        files = set(re.findall(r"""["'](/static/[^"'?#]+\.\w+)""", page.text))
        assert files, path
        for file in files:
            assert requests.get(forgetful.web_url + file, timeout=30).status_code == 200, file
    assert "static_files_uncollected" in (forgetful.directory / "web.log").read_text()
    checked = output_of(forgetful, "check")
    assert "bridge.W001" in checked
    for words in (checked, output_of(forgetful, "doctor", "--offline")):
        assert "collectstatic" in words
