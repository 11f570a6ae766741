from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import (
    KommoError,
    KommoHeldError,
    KommoNotFoundError,
    KommoReplyError,
    KommoUnreachableError,
    Rejection,
)
from bridge.kommo.errors import from_answer
from bridge.kommo.what_an_error_stops import TABLE, Action, Purpose, decide, purpose_of

VALIDATION = {
    "validation-errors": [{"request_id": "0", "errors": [{"code": "InvalidType", "path": "name", "detail": "wrong"}]}],
    "status": 400,
}
CHOICE = {
    "validation-errors": [
        {
            "request_id": "1",
            "errors": [{"code": "NotSupportedChoice", "path": "custom_fields_values.0.values.0.enum_id"}],
        }
    ]
}
UNKNOWN_ID = {
    "validation-errors": [{"request_id": "0", "errors": [{"code": "NotSupportedChoice", "path": "id", "detail": "x"}]}]
}
BY_LEAD = {"errors": {"11062353": "Loss reason can be specified only for lost lead"}, "detail": "Invalid request body"}


def error_of(status, body=b"", headers=None):
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return from_answer("update leads", status, headers or {}, raw, "req-1")


# For each row of the table, in its order, errors that it decides; the last ones are decided by none.
ROWS = [
    ([KommoHeldError("x", operation="o")], Action.RETRY_LATER),
    ([KommoUnreachableError("x", operation="o", sent=True)], Action.RETRY),
    ([KommoReplyError("x", operation="o")], Action.RETRY),
    ([error_of(429, {"retry_after": 300}), error_of(429, b"<html>")], Action.RETRY_LATER),
    ([error_of(504), error_of(504, b"<html>")], Action.SHRINK_BATCH),
    ([error_of(500, b"<html>"), error_of(503), error_of(599)], Action.RETRY),
    (
        [
            error_of(401, {"hint": "Token has been revoked"}),
            error_of(402),
            error_of(403, {"detail": "no rights"}),
            error_of(403, b"<html>nginx</html>"),
        ],
        Action.PAUSE_ACCOUNT,
    ),
    ([KommoNotFoundError("x", operation="o", status_code=204)], Action.GONE),
    ([error_of(404), error_of(404, b"<html>")], Action.PAUSE_ACCOUNT),
    ([error_of(422), error_of(413, b"<html>")], Action.SHRINK_BATCH),
    ([error_of(408), error_of(409), error_of(425)], Action.RETRY),
    ([error_of(302), error_of(405), error_of(410)], Action.PAUSE_ACCOUNT),
    (
        [
            error_of(400, {"detail": "Error code 244: access denied"}),
            error_of(400, {"detail": "Код ошибки 244. Доступ запрещён"}),
            error_of(400, {"hint": "Erro 244", "detail": "x"}),
        ],
        Action.PAUSE_ACCOUNT,
    ),
    ([error_of(400, UNKNOWN_ID)], Action.GONE),
    ([error_of(400, CHOICE)], Action.REFRESH_CATALOGUE),
    (
        [
            error_of(400, VALIDATION),
            error_of(400, BY_LEAD),
            error_of(400, {"errors": {"2441": "Lead 2441 not found"}}),
            error_of(400, {"detail": "Campo 12441 inválido"}),
            error_of(400, b""),
            error_of(400, b"[]"),
        ],
        Action.DEAD,
    ),
]


@pytest.mark.parametrize(
    ("row", "error", "action"),
    [(row, error, action) for row, (errors, action) in enumerate(ROWS) for error in errors],
    ids=lambda value: value.name if isinstance(value, Action) else None,
)
def test_every_row_of_the_table(row, error, action):
    assert len(ROWS) == len(TABLE)
    deciding = next(place for place, (kind, fits, *_) in enumerate(TABLE) if isinstance(error, kind) and fits(error))
    assert deciding == row
    assert decide(error) is action


@pytest.mark.parametrize(("retryable", "action"), [(True, Action.RETRY), (False, Action.DEAD)])
def test_what_no_row_knows_is_retried_only_if_its_kind_says_so(retryable, action):
    error = KommoError("never seen", operation="o")
    error.retryable = retryable
    assert decide(error) is action


SIDE_CALLS = [
    "update contacts", "create notes", "create tasks", "run salesbot", "read events", "read webhooks",
    "subscribe webhook", "read users", "read loss reasons",
]  # fmt: skip
REFUSALS = [
    error_of(401),
    error_of(402),
    error_of(403, {"detail": "no rights"}),
    error_of(302),
    error_of(404),
    error_of(405),
    error_of(400, {"detail": "Código de erro 244"}),
]


@pytest.mark.parametrize("operation", SIDE_CALLS)
def test_what_closes_the_account_to_cards_puts_only_a_side_calls_own_feature_to_rest(operation):
    for error in REFUSALS:
        assert decide(error) is Action.PAUSE_ACCOUNT
        error.operation, before = operation, error.operation
        try:
            assert decide(error) is Action.REST_FEATURE
            assert decide(error, Purpose.CARDS) is Action.PAUSE_ACCOUNT
        finally:
            error.operation = before
    block = error_of(403, b"<html>")
    block.operation = operation
    assert decide(block) is Action.PAUSE_ACCOUNT


@pytest.mark.parametrize("error", [error_of(429), error_of(500), error_of(504), error_of(400, VALIDATION)])
def test_whatever_a_call_is_for_what_passes_passes_and_what_is_wrong_is_wrong(error):
    assert {decide(error, purpose) for purpose in Purpose} == {decide(error)}


def test_the_token_endpoint_is_a_main_road():
    assert purpose_of(KommoError("x", operation="exchange token")) is Purpose.TOKEN
    assert decide(error_of(401), Purpose.TOKEN) is Action.PAUSE_ACCOUNT


@pytest.mark.parametrize(
    ("location", "address"),
    [
        ("https://acme.kommo.com/", "the token's user may be deactivated"),
        ("/login?from=/api/v4/events", "the token's user may be deactivated"),
        ("https://other.kommo.com/api/v4/leads", "check the account's address"),
    ],
)
def test_a_redirect_says_where_it_leads(location, address):
    assert address in str(error_of(302, headers={"Location": location}))


def test_every_row_has_a_reason():
    assert all(reason for *_, reason in TABLE)


def test_a_culprit_gets_its_own_part_of_the_error():
    both = {"validation-errors": VALIDATION["validation-errors"] + CHOICE["validation-errors"]}
    error = error_of(400, both)
    assert decide(error.about("0", None)) is Action.DEAD
    assert decide(error.about("1", None)) is Action.REFRESH_CATALOGUE
    assert error.about("2", 77) is None
    assert "wrong" in str(error.about("0", None)) and "enum_id" not in str(error.about("0", None))
    assert error_of(400, BY_LEAD).about("0", 11062353)


def test_the_wait_is_read_from_body_or_header_whichever_is_longer():
    assert error_of(429, {"retry_after": 300}).retry_after == timedelta(seconds=300)
    assert error_of(429, b"<html>", {"Retry-After": "7"}).retry_after == timedelta(seconds=7)
    assert error_of(429, b"").retry_after > timedelta(0)


def test_culprits_are_named_by_request_id_or_by_lead():
    assert error_of(400, VALIDATION).items[0].request_id == "0"
    assert error_of(400, BY_LEAD).items[0].lead_id == 11062353
    assert error_of(400, b"[]").items == ()


def test_an_html_403_is_a_block():
    assert error_of(403, b"<html>").is_block
    assert not error_of(403, {"title": "Forbidden"}).is_block


REFUSED_TOKEN = "the token was refused: put a new one into the account's page"


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, {"hint": "Token has been revoked", "detail": "x"}, f"401: Token has been revoked; {REFUSED_TOKEN}"),
        (
            402,
            b"",
            "402; the account or its plan is not paid for, or its quota is used up: settle it in Kommo",
        ),
        (
            403,
            {"title": "Forbidden"},
            "403: Forbidden; our user may not do this: give it administrator's rights in Kommo",
        ),
        (
            403,
            b"<html>",
            "403; Kommo blocks this address, as it does after too many calls: wait, then ask Kommo's support",
        ),
        (404, b"", "404; check the account's address in the admin"),
        (500, {"detail": "d" * 400}, f"500: {'d' * 300}"),
        (429, {"hint": 7, "detail": "", "title": "Too Many Requests"}, "429: Too Many Requests"),
    ],
)
def test_an_error_says_what_a_colleague_can_do(status, body, sentence):
    assert str(error_of(status, body)) == f"update leads: Kommo answered {sentence}"


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_an_error_carries_its_facts(status):
    error = error_of(status, {"detail": "why"})
    assert (error.operation, error.status_code, error.detail, error.request_id) == (
        "update leads",
        status,
        "why",
        "req-1",
    )


def test_a_refusal_names_every_fault_with_its_place():
    error = error_of(
        400, {"validation-errors": [{"request_id": 3, "errors": [{"code": "A", "path": "p", "detail": "d"}, {}]}]}
    )
    assert error.items == (
        Rejection(code="A", path="p", detail="d", request_id="3"),
        Rejection(code="", path="", detail="", request_id="3"),
    )
    both = error_of(400, VALIDATION | BY_LEAD)
    assert str(both) == ("update leads: refused by Kommo: name: wrong; Loss reason can be specified only for lost lead")
    assert both.items[1] == Rejection("", "", "Loss reason can be specified only for lost lead", lead_id=11062353)
    assert error_of(400, {"errors": {"x": "a", "²": "b", "7": 8}}).items == (Rejection("", "", "8", lead_id=7),)
    assert len(str(error_of(400, {"validation-errors": [{"errors": [{"detail": "d" * 999}] * 3}]}))) == 600
    nameless = error_of(400, {"validation-errors": [7, {"errors": 7}, {"errors": [7, {"path": "p"}]}]})
    assert nameless.items == (Rejection(code="", path="p", detail=""),)


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        ({"retry_after": 7}, {"Retry-After": "9"}, 9),
        ({"retry_after": 9}, {"Retry-After": "7"}, 9),
        ({"retry_after": "2.5"}, {}, 2.5),
        ({"retry_after": 0}, {}, 5),
        ({"retry_after": -1}, {"Retry-After": "soon"}, 5),
        ({"retry_after": "inf"}, {}, 5),
        ({"retry_after": 1e300}, {}, 3600),
    ],
)
def test_a_wait_is_at_least_what_is_asked_and_never_for_ever(body, headers, seconds):
    assert error_of(429, body, headers).retry_after == timedelta(seconds=seconds)


def test_a_server_that_fails_asks_for_no_wait_unless_it_says_so():
    assert error_of(503).retry_after is None
    assert error_of(503, b"", {"Retry-After": "9"}).retry_after == timedelta(seconds=9)


SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(st.integers(300, 599), JSON.map(orjson.dumps) | st.binary())
def test_any_body_with_any_status_is_an_error_with_an_action(status, body):
    assert decide(error_of(status, body)) in Action


@given(st.dictionaries(st.sampled_from(["validation-errors", "errors", "retry_after", "hint", "detail"]), JSON))
def test_our_own_keys_with_foreign_values_are_survived(problem):
    for status in (400, 429, 500):
        assert decide(error_of(status, problem)) in Action
