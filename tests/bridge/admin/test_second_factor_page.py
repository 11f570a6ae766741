"""The second factor: asked for of those who set it up, and of nobody else."""

from __future__ import annotations

from base64 import b32decode
from datetime import timedelta
from html import unescape
from time import time

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_otp.oath import TOTP

from bridge import roles, second_factor
from bridge.api import api_keys
from bridge.models import ApiKey, SecondFactor
from tests.bridge.admin.people import PASSWORD, client_of

LOGIN, PAGE, USERS = "/admin/login/", "/admin/second-factor/", "/admin/auth/user/"


def code_now(factor: SecondFactor) -> str:
    totp = TOTP(b32decode(factor.key))
    totp.time = time()
    return f"{totp.token():06d}"


def is_in(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


@pytest.fixture
def clock():
    """A moment that stands still until a test moves it."""
    with time_machine.travel(timezone.now(), tick=False) as moved:
        yield moved


@pytest.fixture
def ada(db) -> User:
    return User.objects.create_superuser("ada", password=PASSWORD)


@pytest.fixture
def guarded(ada, clock) -> SecondFactor:
    """Ada's second factor, in use for a minute."""
    factor = second_factor.begin(ada)
    assert second_factor.confirm(ada, code_now(factor))
    clock.shift(timedelta(minutes=1))
    return SecondFactor.objects.get()


def log_in(**more: str) -> tuple[Client, str]:
    client = Client()
    answer = client.post(LOGIN, {"username": "ada", "password": PASSWORD, **more})
    return client, unescape(answer.content.decode())


def test_without_one_the_password_alone_opens_the_admin(ada):
    assert "one-time-code" not in Client().get(LOGIN).content.decode()
    assert is_in(log_in()[0])


def test_a_key_nobody_confirmed_asks_for_nothing(ada):
    second_factor.begin(ada)

    assert is_in(log_in()[0])


def test_with_one_the_password_alone_does_not_open_the_admin(guarded):
    client, page = log_in()

    assert "Give the code that your app shows now." in page
    assert "one-time-code" in page
    assert not is_in(client)


def test_the_code_of_the_moment_opens_it_once(guarded):
    code = code_now(guarded)

    assert is_in(log_in(code=f"{code[:3]} {code[3:]}")[0])
    assert not is_in(log_in(code=code)[0])


@pytest.mark.parametrize("code", ["000000x", "12345", "１２３４５６", "--", "' or 1=1"])
def test_a_wrong_code_is_refused(guarded, code):
    client, page = log_in(code=code)

    assert "This code is not right" in page
    assert not is_in(client)


def test_the_code_of_another_moment_is_refused(guarded, clock):
    old = code_now(guarded)
    clock.shift(timedelta(minutes=5))

    assert not is_in(log_in(code=old)[0])


def test_a_code_without_the_password_opens_nothing(guarded):
    client = Client()
    client.post(LOGIN, {"username": "ada", "password": "a guess", "code": code_now(guarded)})

    assert not is_in(client)


def test_after_wrong_codes_even_the_right_one_waits(guarded, clock):
    for _ in range(4):
        log_in(code="nothing")
        clock.shift(timedelta(seconds=10))
    log_in(code="nothing")

    assert not is_in(log_in(code=code_now(guarded))[0])
    clock.shift(timedelta(seconds=40))
    assert is_in(log_in(code=code_now(guarded))[0])


def test_wrong_codes_count_like_wrong_passwords(guarded, clock, settings):
    settings.AXES_ENABLED = True
    for _ in range(settings.AXES_FAILURE_LIMIT):
        log_in(code="nothing")
    # Longer than the code's own wait, shorter than the lock of name and address.
    clock.shift(timedelta(minutes=5))

    assert not is_in(log_in(code=code_now(guarded))[0])


def test_asking_for_the_code_counts_as_no_failure(guarded, settings):
    settings.AXES_ENABLED = True
    for _ in range(settings.AXES_FAILURE_LIMIT):
        log_in()

    assert is_in(log_in(code=code_now(guarded))[0])


def test_staff_set_it_up_on_their_own_page(clock, db):
    client = client_of(roles.READER)

    assert f'href="{PAGE}"' in client.get("/admin/").content.decode()
    assert "Turn on two-step verification" in client.get(PAGE).content.decode()
    begun = client.post(PAGE, {"do": "begin"})
    factor = SecondFactor.objects.get()
    assert "data:image/svg+xml" in begun.content.decode()
    assert begun.context["secret"].replace(" ", "") == factor.key
    assert "This code is not right" in client.post(PAGE, {"do": "confirm", "code": "000"}).content.decode()
    clock.shift(timedelta(seconds=5))
    done = client.post(PAGE, {"do": "confirm", "code": code_now(factor)})

    assert len(done.context["codes"]) == second_factor.RECOVERY_CODES
    assert "no-store" in done["Cache-Control"]
    assert factor.key not in client.get(PAGE).content.decode()
    assert LogEntry.objects.filter(change_message="Second factor: confirm").count() == 1


def test_the_key_in_use_is_shown_to_nobody_again(guarded):
    client = Client()
    client.force_login(guarded.user, backend="django.contrib.auth.backends.ModelBackend")

    answer = client.post(PAGE, {"do": "begin"})

    assert guarded.key not in answer.content.decode()
    assert "Your login asks for a code" in answer.content.decode()


def test_setting_it_up_and_giving_it_up_ask_for_the_password(db):
    client = client_of(roles.READER, fresh=False)

    assert "Please confirm that it is you" in client.post(PAGE, {"do": "begin"}).content.decode()
    assert not SecondFactor.objects.exists()


def test_a_recovery_code_opens_it_once(ada, clock):
    [first, *_] = second_factor.confirm(ada, code_now(second_factor.begin(ada)))

    assert is_in(log_in(code=first.upper())[0])
    assert not is_in(log_in(code=first)[0])
    assert len(SecondFactor.objects.get().recovery_hashes) == second_factor.RECOVERY_CODES - 1


def test_new_recovery_codes_make_the_old_ones_worthless(ada, clock):
    [old, *_] = second_factor.confirm(ada, code_now(second_factor.begin(ada)))
    client = log_in(code=old)[0]

    codes = client.post(PAGE, {"do": "renew"}).context["codes"]

    assert not set(codes) & {old}
    assert is_in(log_in(code=codes[0])[0])


def test_whoever_gives_it_up_logs_in_as_before(guarded):
    client = log_in(code=code_now(guarded))[0]

    client.post(PAGE, {"do": "off"})

    assert is_in(log_in()[0])
    assert LogEntry.objects.filter(change_message="Gave up the second factor").exists()


def test_the_key_and_the_recovery_codes_are_not_in_the_database_as_they_are(ada):
    factor = second_factor.begin(ada)
    codes = second_factor.confirm(ada, code_now(factor))

    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM bridge_secondfactor")
        stored = str(cursor.fetchall())
    assert factor.key not in stored
    assert not any(code in stored or code.replace("-", "") in stored for code in codes)


def reset(client: Client, user: User, **more: str):
    chosen = {"_selected_action": [user.pk], "index": "0", "select_across": "0", "action": "reset_second_factor"}
    return client.post(USERS, chosen | more)


def test_an_admin_resets_somebody_elses_after_the_password_and_on_the_record(guarded):
    User.objects.filter(pk=guarded.user_id).update(is_superuser=False)
    client = client_of(roles.ADMINISTRATOR, fresh=False)

    assert "Please confirm that it is you" in reset(client, guarded.user).content.decode()
    assert SecondFactor.objects.exists()
    reset(client, guarded.user, _confirm_password=PASSWORD)

    assert is_in(log_in()[0])
    assert LogEntry.objects.get(object_id=str(guarded.user_id)).change_message.startswith("Reset two-step verification")


def test_only_a_superuser_resets_a_superusers(guarded):
    reset(client_of(roles.ADMINISTRATOR), guarded.user)

    assert SecondFactor.objects.exists()


def test_whoever_may_not_change_users_resets_nobodys(guarded):
    reset(client_of(roles.MANAGER), guarded.user)

    assert SecondFactor.objects.exists()


def test_the_command_frees_the_last_admin(guarded, capsys):
    call_command("reset_second_factor", "ada")

    assert is_in(log_in()[0])
    assert "has no second factor now" in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("reset_second_factor", "nobody")


@pytest.fixture
def required(settings) -> None:
    settings.ADMIN_REQUIRE_SECOND_FACTOR = True


def test_where_all_need_one_who_has_none_is_led_to_set_it_up(required, ada, clock):
    client = log_in()[0]

    for path in ("/admin/", USERS, "/admin/overview/live/"):
        assert client.get(path)["Location"] == PAGE
    assert "Everybody needs two-step verification here" in client.get(PAGE).content.decode()
    client.post(PAGE, {"do": "begin"})
    client.post(PAGE, {"do": "confirm", "code": code_now(SecondFactor.objects.get())})

    assert is_in(client)


def test_where_all_need_one_who_gives_theirs_up_sets_up_another(required, guarded):
    client = log_in(code=code_now(guarded))[0]
    assert is_in(client)

    client.post(PAGE, {"do": "off"})

    page = client.get("/admin/", follow=True).content.decode()
    assert "Everybody needs two-step verification here" in page
    assert "your password alone" not in page


def test_where_all_need_one_login_logout_and_the_agent_are_as_before(required, ada):
    anonymous, client = Client(), log_in()[0]
    key = api_keys.issue(ApiKey(name="agent"))

    assert anonymous.get("/admin/")["Location"].startswith(LOGIN)
    assert anonymous.get("/api/v1/leads/", headers={"Authorization": f"Api-Key {key}"}).status_code == 200
    assert client.post("/admin/logout/").status_code == 200
    assert client.get("/admin/")["Location"].startswith(LOGIN)
