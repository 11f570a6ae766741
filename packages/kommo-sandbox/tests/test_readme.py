"""What the README shows, typed as it stands there. (Its public clients are not installed with the tests.)"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from kommo_sandbox.command import add_arguments

PACKAGE = Path(__file__).resolve().parent.parent
SHOWN = re.findall(r"^```(\w+)\n(.*?)^```", (PACKAGE / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
SHELL = [code for kind, code in SHOWN if kind == "sh"]
[OF_TESTS] = [code for kind, code in SHOWN if kind == "python" and "def test_" in code]
ADDRESS = "http://127.0.0.1:8010"
# What their tests have that the page does not show: a client, which tries again what was over the ceiling.
CLIENT = """
import requests

class MyClient:
    def __init__(self, url, token):
        self.url, self.headers = url + "/api/v4/leads", {"Authorization": f"Bearer {token}"}

    def create_leads(self, leads):
        while (answer := requests.post(self.url, json=leads, headers=self.headers, timeout=10)).status_code == 429:
            pass
        return [lead["id"] for lead in answer.json()["_embedded"]["leads"]]

    def synchronise(self):
        pass

"""
PROGRAM = """
import requests
answer = requests.get("https://acme.kommo.com/api/v4/account", headers={"Authorization": "Bearer sandbox-token"})
print("by the program:", answer.json()["id"])
"""

needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


def lines_for(program: str) -> list[str]:
    return [line for code in SHELL for line in code.splitlines() if line.startswith(program)]


def typed(commands: str, url: str, folder: Path) -> str:
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands.replace(ADDRESS, url)],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_command_takes_what_is_shown():
    parser = ArgumentParser()
    add_arguments(parser)
    shown = re.findall(r"kommo-sandbox((?: --[\w-]+ \w+)+)", (PACKAGE / "README.md").read_text("utf-8"))
    assert shown
    for options in shown:
        parser.parse_args(options.split())


@needs_curl
def test_curl_asks_as_it_is_shown(api, tmp_path):
    [line] = lines_for("curl -H")
    assert '"id":30000001' in typed(line, api.url, tmp_path).replace(" ", "")


@needs_curl
def test_programs_that_know_kommos_name_alone_come_here_as_it_is_shown(api, tmp_path):
    (tmp_path / "your_program.py").write_text(PROGRAM)
    (tmp_path / "python").symlink_to(sys.executable)
    [certificate] = lines_for("curl -o")
    [ways] = [code for code in SHELL if code.startswith("export HTTPS_PROXY")]
    # A Node that takes a proxy is not everybody's.
    commands = "\n".join([certificate, *(line for line in ways.splitlines() if " node " not in line)])
    output = typed(commands, api.url, tmp_path)
    assert "by the program: 30000001" in output
    assert output.count("30000001") >= 2, "curl has the account too"


def test_tests_are_written_as_it_is_shown(tmp_path):
    trying = 'MyClient(kommo.url, token="sandbox-token").create_leads([{"name": "Maria"}])'
    assert OF_TESTS.count("    ...\n") == 1
    (tmp_path / "test_theirs.py").write_text(CLIENT + OF_TESTS.replace("    ...\n", f"    {trying}\n"))
    alone = {"PYTHONPATH": str(PACKAGE / "src"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "kommo_sandbox.pytest_plugin", "-p", "no:cacheprovider"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | alone,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
