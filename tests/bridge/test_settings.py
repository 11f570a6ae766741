"""Every setting with values that cannot be: one line that names it and says what it takes, never anything else."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from hypothesis import HealthCheck, given
from hypothesis import settings as chosen
from hypothesis import strategies as st

from bridge import checks
from bridge.doctor import installation
from followups import channels
from tests.operations.document import ROOT

NAMES = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
# What any line of text may be.
FREE = {
    "SECRET_KEY", "KOMMO_CLIENT_ID", "KOMMO_CLIENT_SECRET", "AGENT_WEBHOOK_SECRET", "ALERT_WEBHOOK_SECRET",
    "EVOLUTION_INSTANCE",
}  # fmt: skip
# Any signs without blanks: whoever gives them out knows how they are made.
TOKENS = {"KOMMO_LONG_LIVED_TOKEN", "EVOLUTION_API_KEY", "METRICS_TOKEN"}
ADDRESSES = [
    "KOMMO_BASE_URL", "KOMMO_REDIRECT_URI", "AGENT_WEBHOOK_URL", "ALERT_WEBHOOK_URL", "EVOLUTION_URL", "SENTRY_DSN",
    "OTEL_EXPORTER_OTLP_ENDPOINT", "CSRF_TRUSTED_ORIGINS",
]  # fmt: skip
KEY = "8J_hqjdtIZAGHLCUKeAk0yhHLOr2uPuLRBGUd6Yp0ho="
FOR_ALL = {
    "PATH": os.environ["PATH"],
    "ENV_FILE": os.devnull,
    "DEBUG": "true",
    "SECRET_KEY": "x",
    "FIELD_ENCRYPTION_KEYS": KEY,
}


def start(monkeypatch, **variables):
    """Read the settings as a process with these variables alone would; return them."""
    monkeypatch.setattr(os, "environ", FOR_ALL | {"DATABASE_URL": "sqlite://:memory:"} | variables)
    return runpy.run_path(str(ROOT / "bridge" / "settings.py"))


def refusal(monkeypatch, name, value):
    """Return what a start with one odd value says; empty when it is taken. Anything but a line about it fails."""
    try:
        start(monkeypatch, **{name: value})
    except ImproperlyConfigured as refused:
        message = str(refused)
        assert message.startswith(name)
        assert len(message.splitlines()) == 1
        return message
    return ""


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FREE])
def test_nonsense_is_refused_by_every_setting_that_is_no_free_text(monkeypatch, name):
    values = ["foo bar", "💥", *(() if name in TOKENS else ("://", "[", "http://[", ";,;"))]

    assert all("Left empty" in refusal(monkeypatch, name, value) for value in values)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_one_line_of_text_is_refused_and_not_repeated(monkeypatch, name):
    for value in ("a\nb", "a\x00b", "\x1b[31m", "a\u2028b", "a\u200bb", "\udcff"):
        message = refusal(monkeypatch, name, value)
        assert message
        assert value not in message


@chosen(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(NAMES), value=st.text(st.characters(codec=None), max_size=40))
def test_whatever_stands_there_a_start_says_one_line_or_begins(monkeypatch, name, value):
    refusal(monkeypatch, name, value)


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize(
    "value",
    [
        "agent.example", "agent.example:8000/hook", "ftp://agent.example", "https:/agent.example", "https://",
        "https:///hook", "https://agent.example:port", "https://agent.example:0", "https://agent.example:99999",
        "https://http://agent.example", "https://agent..example", "https://agent.example, https://other.example/x",
        "'https://agent.example", "file:///etc/passwd", "javascript:alert(1)", "https://[::1",
    ],
)  # fmt: skip
def test_no_address_is_taken_that_nobody_can_call(monkeypatch, name, value):
    assert refusal(monkeypatch, name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AGENT_WEBHOOK_URL", "http://my_agent:8000/hook?key=1"),
        ("ALERT_WEBHOOK_URL", "https://hooks.slack.com/services/T0/B0/xyz"),
        ("AGENT_WEBHOOK_URL", "http://[::1]:8000/"),
        ("EVOLUTION_URL", "https://user:password@evolution.example"),
        ("KOMMO_BASE_URL", "https://acme.kommo.com/"),
        ("KOMMO_BASE_URL", "http://127.0.0.1:8010"),
        ("REDIS_URL", "redis://:pass/word@redis:6379/0".replace("pass/word", "password")),
        ("REDIS_URL", "unix:///run/redis.sock?db=1"),
        ("REDIS_URL", "rediss://redis.example"),
        ("ALLOWED_HOSTS", "*, .example.com, bridge.example, 10.0.0.1, [::1]"),
        ("CSRF_TRUSTED_ORIGINS", "https://bridge.example:8443, https://*.example.com"),
        ("ALERT_EMAILS", "ada@example.com, joão@example.com".replace("ã", "a")),
        ("DEFAULT_FROM_EMAIL", "Bridge <bridge@example.com>"),
        ("FOLLOWUP_CHANNEL", "followups.channels.Evolution"),
        ("KOMMO_WEBHOOK_SECRET", "s3cr3t-of_the.path~"),
        ("EMAIL_URL", "smtp+tls://user:password@mail.example:587"),
    ],
)
def test_what_people_write_is_taken(monkeypatch, name, value):
    assert refusal(monkeypatch, name, value) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://host:port/0"),
        ("REDIS_URL", "redis://host/zero"),
        ("REDIS_URL", "unix://"),
        ("REDIS_URL", "redis:/127.0.0.1"),
        ("ALLOWED_HOSTS", "bridge_1.example"),
        ("ALLOWED_HOSTS", "*.example.com"),
        ("ALLOWED_HOSTS", "bridge..example"),
        ("CSRF_TRUSTED_ORIGINS", "https://bridge.example/admin/"),
        ("ALERT_EMAILS", "ada@example.com; bob@example.com"),
        ("ALERT_EMAILS", "ada"),
        ("DEFAULT_FROM_EMAIL", "bridge"),
        ("EMAIL_URL", "smtp://"),
        ("FIELD_ENCRYPTION_KEYS", "short"),
        ("KOMMO_WEBHOOK_SECRET", "a/b"),
        ("KOMMO_WEBHOOK_SECRET", "a?b"),
        ("KOMMO_LONG_LIVED_TOKEN", "Bearer eyJ0"),
        ("METRICS_TOKEN", "señal"),
        ("SESSION_COOKIE_NAME", "a;b"),
        ("Q_NAME", "bridge one"),
        ("FOLLOWUP_CHANNEL", "foo"),
        ("DATABASE_URL", "postgres://127.0.0.1"),
        ("DATABASE_URL", "postgres://user@127.0.0.1:many/name"),
        ("DATABASE_URL", "sqlite:////proc/here/bridge.sqlite3"),
        ("TIME_ZONE", "-03:00"),
    ],
)
def test_what_would_fail_later_is_refused_at_start(monkeypatch, name, value):
    assert refusal(monkeypatch, name, value)


@pytest.mark.parametrize("secret", ["password one", "a/very/secret/path", "tökén"])
@pytest.mark.parametrize("name", ["KOMMO_LONG_LIVED_TOKEN", "KOMMO_WEBHOOK_SECRET", "AGENT_WEBHOOK_URL", "REDIS_URL"])
def test_a_refusal_shows_no_secret(monkeypatch, name, secret):
    assert secret not in refusal(monkeypatch, name, secret)


def test_a_file_that_is_none_is_told(monkeypatch, tmp_path):
    with pytest.raises(ImproperlyConfigured, match="ENV_FILE"):
        start(monkeypatch, ENV_FILE=str(tmp_path))
    (tmp_path / "nul").write_bytes(b"A=b\0c\n")
    with pytest.raises(ImproperlyConfigured, match="a NUL"):
        start(monkeypatch, ENV_FILE=str(tmp_path / "nul"))


# --- How messages leave


@pytest.mark.parametrize(
    "path", ["foo.Bar", "followups.channels.Nobody", "followups.channels", "django.conf.settings", "os.path.join"]
)
def test_a_channel_that_is_none_is_refused_at_start(settings, path):
    settings.FOLLOWUP_CHANNEL = path
    with pytest.raises(ImproperlyConfigured) as refused:
        channels.check()

    assert str(refused.value).startswith("FOLLOWUP_CHANNEL: ")
    assert len(str(refused.value).splitlines()) == 1


def test_a_channel_without_its_own_settings_is_refused_at_start(settings):
    settings.FOLLOWUP_CHANNEL, settings.EVOLUTION_URL = "followups.channels.Evolution", "https://evolution.example"
    with pytest.raises(ImproperlyConfigured, match="EVOLUTION_INSTANCE, EVOLUTION_API_KEY"):
        channels.check()
    settings.FOLLOWUP_CHANNEL, settings.SALESBOT_ID = "bridge.channels.salesbot.Salesbot", 0
    with pytest.raises(ImproperlyConfigured, match="SALESBOT_ID"):
        channels.check()


@pytest.mark.parametrize(
    "path", ["", "followups.channels.LogOnly", "bridge.channels.salesbot.Salesbot", "bridge.sync.salesbot.Salesbot"]
)
def test_a_channel_that_can_be_used_is_no_trouble(path):
    with override_settings(FOLLOWUP_CHANNEL=path, SALESBOT_ID=5):
        channels.check()


@pytest.mark.e2e
@pytest.mark.once
@pytest.mark.parametrize("command", ["doctor", "run"])
def test_every_command_says_so_in_one_line(command: str):
    file = Path(ROOT, "manage.py")
    environment = FOR_ALL | {"DATABASE_URL": "sqlite://:memory:", "FOLLOWUP_CHANNEL": "foo.Bar"}
    done = subprocess.run([sys.executable, str(file), command], env=environment, capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr.startswith("Error: FOLLOWUP_CHANNEL: ")
    assert len(done.stderr.splitlines()) == 1


# --- What works and should not face the internet

LONG = "kV3z9Qw7rT1yU5iO0pA2sD4fG6hJ8kL-xCvBnM_qWeRtYuIoPaSdFgHj"
GOOD = {
    "DEBUG": False, "ALLOWED_HOSTS": ["bridge.example"], "SECRET_KEY": LONG, "KOMMO_WEBHOOK_SECRET": "",
    "AGENT_WEBHOOK_SECRET": LONG, "METRICS_TOKEN": "", "FIELD_ENCRYPTION_KEYS": [KEY],
}  # fmt: skip


def weak(**more):
    with override_settings(**GOOD | more):
        return [text for text, _ in checks.weaknesses()]


def test_generated_settings_are_not_weak():
    assert weak() == []


@pytest.mark.parametrize(
    "key",
    ["x", "changeme", LONG[:49], "ab" * 40, "correct horse " * 5, f"django-insecure-{LONG}", f"your-secret-{LONG}"],
)
def test_a_key_that_can_be_guessed_is_named(key):
    [warning] = weak(SECRET_KEY=key)

    assert warning.startswith("SECRET_KEY ")
    assert key not in warning


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"ALLOWED_HOSTS": ["*", "127.0.0.1"]}, "ALLOWED_HOSTS=*"),
        ({"DEBUG": True}, "DEBUG is on, and bridge.example"),
        ({"METRICS_TOKEN": "letmein"}, "METRICS_TOKEN"),
        ({"FIELD_ENCRYPTION_KEYS": ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]}, "FIELD_ENCRYPTION_KEYS"),
    ],
)
def test_what_is_weak_is_named_by_the_deploy_check_and_by_doctor(more, name):
    with override_settings(**GOOD | more):
        [warning] = checks.weak_settings()
        [finding] = installation.check_settings(None)

    assert warning.msg.startswith(name)
    assert (finding.message, finding.is_well) == (warning.msg, True)
    assert finding.advice == warning.hint


def test_on_this_machine_alone_anything_goes():
    assert weak(DEBUG=True, ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="x") == []
