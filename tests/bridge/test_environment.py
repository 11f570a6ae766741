"""A mistyped line of `.env` is told by its name and what it takes; a blank one means the default."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from bridge.environment import Environment, make_folder
from tests.operations.document import ROOT


@pytest.fixture
def env(tmp_path, monkeypatch):
    """Read the variables of a file's text, in a process that has none of its own."""

    def read(text: str | bytes) -> Environment:
        file = tmp_path / ".env"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        monkeypatch.setattr(os, "environ", {})
        return Environment(str(file))

    return read


@pytest.mark.parametrize("blank", ["", "X=", "X=   ", 'X=""', "X=''", "X= # how many", "#X=5"])
def test_blank_means_the_default(env, blank):
    here = env(blank)

    assert here.number("X", 7) == 7
    assert here.days("X", 30) == 30
    assert here.flag("X", default=True) is True
    assert here.choice("X", ("a", "b"), "a") == "a"
    assert here.text("X", "as it is") == "as it is"
    assert here.zone("X", "America/Recife") == "America/Recife"
    assert (here.names("X"), here.hosts("X"), here.origins("X"), here.redis("X")) == ([], [], [], "")
    assert here.database("X", "sqlite:///here.sqlite3")["NAME"] == "here.sqlite3"
    assert here.mail("X", "consolemail://")["EMAIL_BACKEND"].endswith("console.EmailBackend")


@pytest.mark.parametrize(
    "line", ["X=40", "X = 40", " X=40 ", "X=40 # leads", 'X="40"', "export X=40", "X=+40", "\ufeffX=40"]
)
def test_a_number_is_read_as_people_write_it(env, line):
    assert env(line).number("X", 7) == 40


@pytest.mark.parametrize("given", ["ten", "10 per second", "-1", "1.5", "0x10", "99999999", "--3", "²", "1e3", "∞"])
def test_a_number_that_cannot_be_is_told_by_name_form_and_default(env, given):
    with pytest.raises(ImproperlyConfigured) as refused:
        env(f"KOMMO_BATCH_SIZE={given}").number("KOMMO_BATCH_SIZE", 50, least=1, most=250)

    assert str(refused.value).startswith(f"KOMMO_BATCH_SIZE: “{given}” cannot be used.")
    assert "from 1 to 250" in str(refused.value)
    assert "Left empty: 50." in str(refused.value)


@pytest.mark.parametrize("given", ["0", "-1", "999999", "never", "1 year"])
def test_days_that_mean_the_opposite_elsewhere_are_not_guessed(env, given):
    with pytest.raises(ImproperlyConfigured, match="from 1 to 36500, or forever"):
        env(f"KEEP_EVENTS_DAYS={given}").days("KEEP_EVENTS_DAYS", 730)


@pytest.mark.parametrize("given", ["forever", "Forever"])
def test_forever_is_said_by_its_word(env, given):
    assert env(f"KEEP_EVENTS_DAYS={given}").days("KEEP_EVENTS_DAYS", 730) is None


@pytest.mark.parametrize(
    ("read", "given"),
    [
        (lambda env: env.flag("X", default=False), "perhaps"),
        (lambda env: env.choice("X", ("orm", "redis"), "orm"), "rabbit"),
        (lambda env: env.hosts("X"), "https://bridge.example"),
        (lambda env: env.hosts("X"), "bridge.example, bridge.example/admin"),
        (lambda env: env.hosts("X"), "bridge.example:8000"),
        (lambda env: env.hosts("X"), "::1"),
        (lambda env: env.origins("X"), "bridge.example"),
        (lambda env: env.origins("X"), "https://"),
        (lambda env: env.redis("X"), "127.0.0.1:6379"),
        (lambda env: env.zone("X", "UTC"), "Brasilia"),
        (lambda env: env.zone("X", "UTC"), "/etc/passwd"),
        (lambda env: env.database("X", ""), "mongodb://host/name"),
        (lambda env: env.database("X", ""), "postgres://user:se/cret@host/name"),
        (lambda env: env.database("X", ""), "somewhere"),
        (lambda env: env.mail("X", ""), "mail.example:587"),
    ],
)
def test_nonsense_is_refused_in_one_line(env, read, given):
    with pytest.raises(ImproperlyConfigured) as refused:
        read(env(f"X={given}"))

    assert str(refused.value).startswith("X: ")
    assert "\n" not in str(refused.value)
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize("token", ["$2b$10$abc", "a#b", "eyJ0.${HOME}.x", "päss"])
def test_a_secret_is_taken_to_the_letter(env, token):
    assert env(f"X={token}").text("X") == token


def test_what_the_process_has_stands_over_the_file(env, monkeypatch):
    here = env("X=file")
    os.environ["X"] = "process"

    assert here.text("X") == "process"


def test_a_file_in_another_encoding_is_told_with_its_line(env):
    with pytest.raises(ImproperlyConfigured, match="line 2: not written in UTF-8"):
        env("A=1\nB=é".encode("latin-1"))


@pytest.mark.e2e
@pytest.mark.once
@pytest.mark.parametrize(
    "line",
    ["DATABASE_URL=mysql:/x", "KOMMO_BATCH_SIZE=many", "TIME_ZONE=Brasilia", "LOG_FORMAT=xml", "KEEP_EVENTS_DAYS=0"],
)
def test_every_command_says_it_in_one_line(tmp_path: Path, line: str):
    file = tmp_path / ".env"
    file.write_text(f"SECRET_KEY=x\nDEBUG=true\n{line}\n")
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}

    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(command, cwd=ROOT, env=clean | {"ENV_FILE": str(file)}, capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {line.partition('=')[0]}: ")
    assert len(done.stderr.splitlines()) == 1


def test_the_folder_of_the_database_is_made_for_its_owner_alone_and_one_that_is_there_keeps_its_rights(tmp_path):
    made, there = tmp_path / "data", tmp_path / "shared"
    there.mkdir(mode=0o755)
    there.chmod(0o755)
    for folder in (made, there, made):
        make_folder("DATABASE_URL", folder)
    assert [oct(folder.stat().st_mode & 0o777) for folder in (made, there)] == ["0o700", "0o755"]
