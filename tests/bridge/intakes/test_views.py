from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError
from django.utils import timezone

from bridge.intakes import managing_intakes, views
from bridge.models import Intake, IntakeCall
from tests.bridge.intakes.bodies import body, raw
from tests.bridge.intakes.test_evolution import token


def stored() -> bytes:
    return bytes(IntakeCall.objects.get().body)


def test_a_call_is_stored_and_answered_before_it_is_read(way_in):
    assert way_in().call(raw("evolution/01")) == 200
    call = IntakeCall.objects.get()
    assert (call.state, call.items.count()) == (IntakeCall.State.RECEIVED, 0)
    assert "Boa tarde, vi o anúncio" in stored().decode()


@pytest.mark.parametrize("end", ["messages-upsert", "/messages-upsert", "send-message/", "x/y/z"])
def test_the_path_may_go_on_with_an_events_name(way_in, end):
    way = way_in()
    assert way.call(raw("evolution/01"), path=f"{way.path}{end}") == 200


def test_the_last_slash_may_be_missing(way_in):
    way = way_in()
    assert way.call(raw("evolution/01"), path=way.path.rstrip("/")) == 200


@pytest.mark.parametrize("path", ["/intake/evolution-1/wrong/", "/intake/other/{}/", "/intake/EVOLUTION-1/{}/"])
def test_a_wrong_secret_or_name_is_404_and_stores_nothing(way_in, path):
    way = way_in()
    assert way.call(raw("evolution/01"), path=path.format(way.intake.secret)) == 404
    assert way.client.get(path.format(way.intake.secret)).status_code == 404
    assert not IntakeCall.objects.exists()


def test_a_way_in_that_was_switched_off_leads_nowhere(way_in):
    way = way_in()
    Intake.objects.update(is_active=False)
    assert way.call(raw("evolution/01")) == 404


def test_the_address_can_be_looked_at(way_in):
    way = way_in()
    assert way.client.get(way.path).status_code == way.client.head(way.path).status_code == 200
    assert not IntakeCall.objects.exists()


@pytest.mark.parametrize("body", [b"", b"no json", b"\xff\xfe", b"[]", b"7", b"null", b'{"event": ', b"\0" * 10])
def test_whatever_could_be_stored_is_answered_200(way_in, body):
    assert way_in().call(body) == 200
    assert stored() == body


def test_a_body_over_two_mebibytes_is_413(way_in):
    way = way_in()
    assert way.call(b'"' + b"x" * (2 * 1024 * 1024 - 2) + b'"') == 200
    assert way.call(b'"' + b"x" * (2 * 1024 * 1024 - 1) + b'"') == 413


def test_503_when_nothing_was_stored(way_in, monkeypatch):
    def fail(*_: object) -> None:
        raise DatabaseError

    way = way_in()
    monkeypatch.setattr(views, "insert", fail)
    assert way.call(raw("evolution/01")) == 503


def test_a_key_that_is_set_asks_for_a_signature(way_in):
    way = way_in(jwt_key="chave")
    assert way.call(raw("evolution/01")) == 401
    assert way.call(raw("evolution/01"), HTTP_AUTHORIZATION=f"Bearer {token('outra')}") == 401
    assert not IntakeCall.objects.exists()
    assert Intake.objects.get().refused_at is not None
    now = timezone.now().timestamp()
    right = token(iat=now, exp=now + 600)
    assert way.call(raw("evolution/01"), HTTP_AUTHORIZATION=f"Bearer {right}") == 200


# --- What is never stored


def test_keys_of_the_other_side_files_and_our_own_address_are_not_stored(way_in):
    way_in().call(body("evolution/05"), HTTP_AUTHORIZATION="Bearer geheim", HTTP_APIKEY="geheim")
    body_stored = stored().decode()
    for secret in ("B7A1C0F2", "segredo", "ZXhlbXBsby1kZS1jaGF2ZQ", "/9j/4AAQ", "geheim"):
        assert secret not in body_stored
    assert "minha conta de luz" in body_stored and "mmg.whatsapp.net" in body_stored


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b'{"apikey": "k1", "x": [{"pubsub_token": "k2", "a": 1}]}', b'{"x":[{"a":1}]}'),
        (b'{"videoCallData": {"password": "k", "url": "https://x/?pwd=2"}}', b'{"videoCallData":{"url":"https://x/?pwd=2"}}'),
        (b'{"media": {"url": "https://waha/f.oga?x-api-key=k&a=1"}}', '{"media":{"url":"https://waha/f.oga?x-api-key=…&a=1"}}'.encode()),
        (b'{"text": "minha senha: token=abc"}', b'{"text":"minha senha: token=abc"}'),
        # What is no JSON is kept as it came, but for what is spelled like a secret.
        (b'{"apikey": "k1", "x": ', b'{"apikey": "", "x": '),
        (b'{"a": NaN, "API_KEY" : "k\\"1"}', b'{"a": NaN, "API_KEY" : ""}'),
        (b'{"apikey": "k1', b'{"apikey": ""'),
    ],
)  # fmt: skip
def test_secrets_are_taken_out_by_their_keys(way_in, given, kept):
    way_in().call(given)
    assert stored() == kept


def test_a_body_nested_deeper_than_json_is_written_is_stored_without_its_keys(way_in):
    deep = b'{"a":' * 600 + b'{"apikey":"k1"}' + b"}" * 600
    assert way_in().call(deep) == 200
    assert b"k1" not in stored()


# --- Making ways in


def intake(*arguments: str) -> str:
    out = StringIO()
    call_command("intake", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_prints_the_path_alone_and_again_when_it_changes_something(pipeline):
    path = intake("evolution", "zap")
    assert path.startswith("/intake/zap/") and path.endswith("/\n") and path.count("\n") == 1
    assert intake("evolution", "zap", "--pipeline", "solar", "--set", "jwt_key=chave") == path
    row = Intake.objects.get()
    assert (row.pipeline, managing_intakes.settings_of(row)) == (pipeline, {"jwt_key": "chave"})
    assert intake("evolution", "zap", "--set", "jwt_key=") == path
    row.refresh_from_db()
    assert (row.pipeline, managing_intakes.settings_of(row)) == (pipeline, {})


def test_a_key_may_be_given_where_no_shell_keeps_it(pipeline, monkeypatch):
    monkeypatch.setattr("sys.stdin", StringIO("chave\n"))
    intake("evolution", "zap", "--set", "jwt_key=-")
    assert managing_intakes.settings_of(Intake.objects.get()) == {"jwt_key": "chave"}
    monkeypatch.setattr("sys.stdin", StringIO(""))
    with pytest.raises(CommandError, match="Nothing was given for “jwt_key”"):
        intake("evolution", "zap", "--set", "jwt_key=-")
    assert managing_intakes.settings_of(Intake.objects.get()) == {"jwt_key": "chave"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("fax", "zap"), "There is no kind “fax”"),
        (("evolution", "zap zap"), "no short name"),
        (("evolution", "zap/x"), "no short name"),
        (("evolution", "zap", "--pipeline", "other"), "There is no pipeline “other”."),
        (("evolution", "zap", "--set", "app_secret=x"), "no setting “app_secret”"),
        (("evolution", "zap", "--set", "jwt_key"), "no KEY=VALUE"),
    ],
)
def test_the_command_refuses_what_is_wrong_in_one_line(db, arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        intake(*arguments)
    assert not Intake.objects.exists()


def test_no_secret_of_a_way_in_stands_in_the_database_as_it_is(way_in):
    from django.db import connection

    way = way_in(jwt_key="chave-secreta")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM bridge_intake")
        row = str(cursor.fetchone())
    assert way.intake.secret not in row and "chave-secreta" not in row
