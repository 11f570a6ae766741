"""What the login refuses before it looks at a password."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client

from bridge.admin.login_limits import MOST_LOGINS_A_MINUTE


def test_many_logins_from_one_address_are_refused_before_the_password_is_looked_at(db, settings, monkeypatch):
    looked = []
    monkeypatch.setattr("django.contrib.auth.forms.authenticate", lambda *args, **kwargs: looked.append(kwargs) or None)
    cache.clear()
    settings.TRUSTED_PROXIES = 1

    def log_in(name: str, address: str):
        body = {"username": name, "password": "a guess"}
        return Client().post("/admin/login/", body, headers={"x-forwarded-for": address})

    with time_machine.travel(datetime(2027, 3, 1, 12, 0, 5, tzinfo=UTC), tick=False):
        for number in range(MOST_LOGINS_A_MINUTE + 5):
            # Another name, port and place in its own network each time: one subscriber all the same.
            answer = log_in(f"name-{number}", f"[2001:db8:1:2::{number}]:{4000 + number}")

        assert len(looked) == MOST_LOGINS_A_MINUTE
        assert "Too many attempts from your address" in answer.content.decode()
        assert "Too many" not in log_in("somebody", "2001:db8:1:3::1").content.decode()
    with time_machine.travel(datetime(2027, 3, 1, 12, 1, 5, tzinfo=UTC), tick=False):
        assert "Too many" not in log_in("somebody", "2001:db8:1:2::1").content.decode()


@pytest.mark.parametrize("name", ["x" * 151, "x" * 5000])
def test_a_name_longer_than_any_is_refused_before_anything_is_looked_at_or_kept(db, settings, monkeypatch, name):
    settings.AXES_ENABLED = True
    looked = []
    monkeypatch.setattr("django.contrib.auth.forms.authenticate", lambda *args, **kwargs: looked.append(kwargs) or None)
    cache.clear()

    answer = Client(raise_request_exception=False).post("/admin/login/", {"username": name, "password": "a guess"})

    assert (answer.status_code, looked) == (200, [])
    assert answer.context["form"].errors
