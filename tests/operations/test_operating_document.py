"""A host is installed, backed up, restored and updated by following docs/operating.md to the letter."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
import requests

from bridge.demo.stage import Stage, free_port
from tests.e2e.stack import database, eventually, kinds, port
from tests.operations.document import ROOT, Host, blocks

POSTGRES = kinds()[0].startswith("postgres")
# What would change the machine the tests run on. Each is looked at by a test of its own, or is the host's own affair.
OF_THE_MACHINE = {"apt-get", "useradd", "install", "cp", "certbot", "nginx"}
VERSIONS = Path(__file__).parent / "versions"

pytestmark = pytest.mark.e2e


@contextmanager
def host(directory: Path) -> Iterator[Host]:
    """Yield a host with the document's names replaced by our own, and take away what was made outside of it."""
    name = f"bridge_ops_{uuid4().hex[:10]}"
    web, second, sandbox = (free_port(port()) for _ in range(3))
    server = urlsplit(os.environ["TEST_DATABASE_URL"] if POSTGRES else "")
    address = f"{server.hostname}:{server.port or 5432}"
    replaced = {
        "git clone --quiet https://example.com/kommo-bridge.git": f"git clone --quiet {directory / 'source'}",
        "/opt/kommo-bridge": str(directory),
        "postgres:///kommobridge": f"postgres://{name}@{address}/{name}",
        "sudo -u postgres ": "",
        "kommobridge": name,
        "python3 -m venv": f"{sys.executable} -m venv",
        "https://acme.kommo.com": f"http://127.0.0.1:{sandbox}",
        "the-token-of-your-private-integration": "sandbox-token",
        "--webhook-url https://bridge.example": f"--webhook-url http://127.0.0.1:{web}",
        "127.0.0.1:8000": f"127.0.0.1:{web}",
        "127.0.0.1:8001": f"127.0.0.1:{second}",
        "@8000": f"@{web}",
        "@8001": f"@{second}",
        "createsuperuser": "createsuperuser --noinput",
    }
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "GIT_CONFIG_GLOBAL")
    environment = {variable: os.environ[variable] for variable in kept if variable in os.environ}
    environment |= {"DJANGO_SUPERUSER_PASSWORD": uuid4().hex, "NO_COLOR": "1", "WEB_WORKERS": "1"}
    if POSTGRES:
        environment |= {"PGHOST": str(server.hostname), "PGPORT": str(server.port or 5432)}
        # As the host's socket has it: the bridge's user is a role of that name, root is the server's owner.
        environment |= {"PGUSER": name, "PGPASSWORD": server.password or ""}
    copy_of_the_code(directory / "source")
    place = Host(directory, replaced, environment, {"PGUSER": server.username or ""} if POSTGRES else {})
    stage = Stage(directory, web_port=web, sandbox_port=sandbox)
    try:
        with stage:
            stage.start_sandbox()
            place.web_url = stage.web_url
            yield place
    finally:
        place.services.stop_all()
        if POSTGRES:
            with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as connection:
                connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
                connection.execute(f'DROP ROLE IF EXISTS "{name}"')


def copy_of_the_code(folder: Path) -> None:
    """Make a repository of the code as it is now, changes that are not committed included."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("the code is not in a git repository")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "as it is"], check=True)


def lend_packages(place: Host) -> None:
    """Let the new environment see the packages of ours, so that installing finds everything and needs no network."""
    inside = next((place.root / "venv" / "lib").glob("python3*")) / "site-packages"
    (inside / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    gunicorn = place.root / "venv" / "bin" / "gunicorn"
    gunicorn.write_text(f"#!{place.root / 'venv' / 'bin' / 'python'}\nfrom gunicorn.app.wsgiapp import run\nrun()\n")
    gunicorn.chmod(0o755)


def follow(place: Host, *sections: str) -> Iterator[str]:
    """Run every block of some sections that is for this database, yielding before each what it is about to run."""
    other = "sqlite" if POSTGRES else "postgresql"
    for block in blocks():
        if block.section not in sections or block.who & {other, "docker", "sqlite to postgresql"}:
            continue
        yield block.commands
        if "as root" in block.who:
            place.as_root(block.commands, skipped=OF_THE_MACHINE)
        else:
            place.run(block.commands)


def call(place: Host, key: str, method: str, path: str, **more: Any) -> Any:
    """Call the API as the proxy does: with a public name in ALLOWED_HOSTS, plain http is redirected."""
    headers = {"Authorization": f"Api-Key {key}", "X-Forwarded-Proto": "https", "Host": "bridge.example"}
    answer = requests.request(method, f"{place.web_url}/api/v1/{path}", headers=headers, timeout=30, **more)
    assert answer.ok, answer.text + place.services.logs()
    return answer.json()


def tell_and_wait(place: Host, key: str, phone: str, name: str) -> None:
    """Report a lead and wait until its card is in Kommo."""
    lead = call(place, key, "POST", "interactions/", json={"lead": {"phone": phone, "name": name}})["lead"]

    def arrived() -> None:
        assert call(place, key, "GET", f"leads/{lead['id']}/")["sync"] == "synced"

    eventually(arrived)


def ask(place: Host, code: str) -> object:
    python = f"/opt/kommo-bridge/venv/bin/python manage.py shell -v0 -c '{code}'"
    return json.loads(place.run(f"cd /opt/kommo-bridge/app && {python}").splitlines()[-1])


LEADS = (
    "import json; from leads.models import Lead; "
    "print(json.dumps(sorted([l.phone, l.name, l.card.state, l.card.kommo_lead_id] for l in Lead.objects.all())))"
)


@pytest.mark.served
def test_a_fresh_host_is_installed_backed_up_restored_and_updated(tmp_path):
    with host(tmp_path) as place:
        (tmp_path / "backups").mkdir()
        for about_to_run in follow(place, "Install on a host"):
            if "pip install" in about_to_run:
                lend_packages(place)
        key = place.run(f"cd {tmp_path}/app && ../venv/bin/python manage.py api_key tests").strip()
        tell_and_wait(place, key, "+5581999990001", "Before the backup")
        for about_to_run in follow(place, "Backup and restore"):
            if "systemctl stop" in about_to_run:
                backed_up = ask(place, LEADS)
                tell_and_wait(place, key, "+5581999990002", "After the backup")
            if "reconcile" in about_to_run:
                assert ask(place, LEADS) == backed_up

        for _ in follow(place, "Update", "Scale out", "When something is wrong"):
            pass
        tell_and_wait(place, key, "+5581999990003", "After the update")


@pytest.fixture
def first_version(tmp_path) -> Iterator[Stage]:
    """A database as the first version left it: ten conversations, delivered."""
    with database(kinds()[0].partition("+")[0], tmp_path) as url:
        if POSTGRES:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(gzip.decompress((VERSIONS / "0.1.0.postgresql.sql.gz").read_bytes()))
        else:
            stored = gzip.decompress((VERSIONS / "0.1.0.sqlite3.gz").read_bytes())
            Path(url.removeprefix("sqlite:///")).write_bytes(stored)
        extra = {"DATABASE_URL": url, "FIELD_ENCRYPTION_KEYS": KEY_OF_THE_FIRST_VERSION}
        with Stage(tmp_path, web_port=free_port(port()), sandbox_port=free_port(port()), extra=extra) as stage:
            yield stage


KEY_OF_THE_FIRST_VERSION = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def test_a_database_of_the_first_version_is_migrated_with_all_that_is_in_it(first_version):
    tables = "import json; from django.apps import apps; print(json.dumps({m._meta.label: m.objects.count() for m in " \
        "[apps.get_model(n) for n in ('leads.Lead', 'leads.Event', 'leads.Stage', 'bridge.Card', 'bridge.Delivery', " \
        "'bridge.ApiKey', 'followups.Enrollment', 'followups.Sequence')]}))"  # fmt: skip

    first_version.manage("migrate", "--noinput", "--verbosity", "0")

    counts = json.loads(first_version.manage("shell", "-v0", "-c", tables).splitlines()[-1])
    assert (counts["leads.Lead"], counts["bridge.Card"], counts["bridge.ApiKey"]) == (10, 10, 1)
    assert counts["leads.Event"] > 10
    assert counts["bridge.Delivery"] >= 10
    # The secrets are still readable with their key, and the new code answers for the old leads.
    secret = "from bridge.models import Account; print(Account.objects.get().access_token)"
    assert first_version.manage("shell", "-v0", "-c", secret) == "sandbox-token"
    key = first_version.manage("api_key", "after-the-upgrade")
    first_version.start_web()
    call = {"headers": {"Authorization": f"Api-Key {key}"}, "timeout": 30}
    known = requests.get(f"{first_version.web_url}/api/v1/leads/", **call).json()["results"]
    assert {lead["sync"] for lead in known} == {"synced"}
    body = {"lead": {"phone": known[0]["phone"], "email": "later@example.com"}}
    answer = requests.post(f"{first_version.web_url}/api/v1/interactions/", json=body, **call)
    assert answer.status_code == 200, answer.text
    assert answer.json()["lead"]["kommo_lead_id"] == known[0]["kommo_lead_id"]
    timeline = requests.get(f"{first_version.web_url}/api/v1/leads/{known[0]['id']}/timeline/", **call)
    assert len(timeline.json()["results"]) > 2
