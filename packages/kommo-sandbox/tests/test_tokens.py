from __future__ import annotations

import time

import pytest
import requests

from kommo_sandbox.tokens import claims_of

CLIENT = {
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
    "redirect_uri": "https://bridge.example/oauth/",
}


@pytest.fixture
def oauth(api):
    return lambda **given: requests.post(f"{api.url}/oauth2/access_token", json=CLIENT | given, timeout=5)


@pytest.fixture
def pair(api, oauth):
    code = api.staff("oauth/code")["code"]
    return oauth(grant_type="authorization_code", code=code).json()


def status_with(api, token):
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    return requests.get(f"{api.url}/api/v4/account", headers=headers, timeout=5).status_code


def refresh(oauth, pair):
    return oauth(grant_type="refresh_token", refresh_token=pair["refresh_token"])


def test_any_token_will_do_unless_it_is_missing(api):
    assert [status_with(api, token) for token in ("anything", "", None)] == [200, 401, 401]


def test_strict_tokens_take_only_what_was_issued(api, pair):
    api.options(strict_tokens=True)
    assert [status_with(api, token) for token in ("anything", "sandbox-token", pair["access_token"])] == [401, 200, 200]


def test_the_answer_has_a_jwt_with_expiry_and_api_domain(api, pair):
    assert (pair["token_type"], pair["expires_in"]) == ("Bearer", 86400)
    claims = claims_of(pair["access_token"])
    assert claims["api_domain"] == api.url.removeprefix("http://")
    assert abs(claims["exp"] - time.time() - 86400) < 60
    assert claims["account_id"] == 30000001


def test_a_form_is_taken_as_well(api):
    given = CLIENT | {"grant_type": "authorization_code", "code": api.staff("oauth/code")["code"]}
    assert requests.post(f"{api.url}/oauth2/access_token", data=given, timeout=5).ok


def test_a_code_works_once(api, oauth):
    code = api.staff("oauth/code")["code"]
    assert oauth(grant_type="authorization_code", code=code).ok
    again = oauth(grant_type="authorization_code", code=code)
    assert (again.status_code, again.json()["hint"]) == (400, "Authorization code has been revoked")
    assert oauth(grant_type="authorization_code", code="x").json()["hint"] == "Cannot decrypt the authorization code"


def test_a_wrong_secret_is_refused(api, oauth):
    assert oauth(client_secret="x", grant_type="refresh_token", refresh_token="x").status_code == 401


class TestRotation:
    def test_the_old_refresh_token_is_good_until_the_new_one_is_used(self, oauth, pair):
        second = refresh(oauth, pair).json()
        assert refresh(oauth, pair).ok  # the answer was lost, say
        assert refresh(oauth, second).ok
        refused = refresh(oauth, pair)
        assert (refused.status_code, refused.json()["hint"]) == (401, "Token has been revoked")

    def test_strictly_it_works_once(self, api, oauth, pair):
        api.options(strict_rotation=True)
        assert refresh(oauth, pair).ok
        assert refresh(oauth, pair).status_code == 401

    def test_an_unknown_one_is_invalid(self, oauth):
        answer = refresh(oauth, {"refresh_token": "x"})
        assert (answer.status_code, answer.json()["hint"]) == (400, "Invalid refresh token")


def test_an_expired_token_is_401_and_a_refresh_cures_it(api, oauth, pair):
    api.staff("tokens/expire")
    assert status_with(api, pair["access_token"]) == 401
    assert status_with(api, refresh(oauth, pair).json()["access_token"]) == 200


def test_revoked_tokens_are_beyond_cure(api, oauth, pair):
    api.staff("tokens/revoke")
    assert status_with(api, pair["access_token"]) == 401
    assert status_with(api, "sandbox-token") == 401
    assert refresh(oauth, pair).status_code == 401


def test_a_minted_token_ends_when_it_says(api):
    token = api.staff("tokens", {"expires_in": -1})["token"]
    assert claims_of(token)["exp"] < time.time()
    assert status_with(api, token) == 401
    seller = api.staff("tokens", {"user_id": 11087201})["token"]
    answer = requests.get(f"{api.url}/api/v4/account", headers={"Authorization": f"Bearer {seller}"}, timeout=5)
    assert answer.json()["current_user_id"] == 11087201


def test_an_account_that_moved_says_where(api, oauth, pair):
    api.options(moved_to="127.0.0.1:29999")
    assert status_with(api, pair["access_token"]) == 401
    assert refresh(oauth, pair).status_code == 401
    path = f"{api.url}/oauth2/account/current/subdomain"
    answer = requests.get(path, headers={"X-Refresh-Token": pair["refresh_token"]}, timeout=5)
    assert answer.json()["domain"] == "127.0.0.1:29999"
    assert requests.get(path, timeout=5).status_code == 401


def test_the_consent_page_agrees_at_once(api):
    query = {"client_id": "sandbox-client", "state": "s1", "redirect_uri": "https://bridge.example/oauth/"}
    answer = requests.get(f"{api.url}/oauth", params=query, allow_redirects=False, timeout=5)
    assert answer.status_code == 302
    location = answer.headers["Location"]
    assert location.startswith("https://bridge.example/oauth/?code=") and "state=s1" in location
