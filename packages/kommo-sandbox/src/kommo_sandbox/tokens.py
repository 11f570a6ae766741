"""Access: bearer tokens, and OAuth2 with refresh tokens that rotate."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from http import HTTPStatus

import jwt

from kommo_sandbox.answers import PROBLEM, Answer, Json, Refusal
from kommo_sandbox.faults import html_page, unauthorized
from kommo_sandbox.options import Options, members

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"
SIGNING_KEY = secrets.token_bytes(32)
LONG_LIVED_TOKEN = "sandbox-token"
CODE_SECONDS = 20 * 60
REFRESH_SECONDS = 90 * 86_400


@dataclass
class RefreshToken:
    text: str
    expires_at: float
    user_id: int
    # The token this one replaces; it ends when this one is first used.
    parent: RefreshToken | None = None
    is_revoked: bool = False


class Tokens:
    """The tokens and codes an account has issued; times are wall-clock seconds."""

    def __init__(self, options: Options, *, account_id: int, admin_id: int) -> None:
        self.options = options
        self.account_id = account_id
        self.admin_id = admin_id
        self._codes: dict[str, tuple[float, int]] = {}
        self._spent_codes: set[str] = set()
        self._access: dict[str, tuple[float, int]] = {}
        self._refresh: dict[str, RefreshToken] = {}
        self._ended: set[str] = set()

    # --- Bearer tokens

    def user_of(self, authorization: str) -> int:
        """Return the user behind an Authorization header; raises Refusal (401)."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if self.options.moved_to:
            raise moved(self.options)
        if scheme.lower() != "bearer" or not token or token in self._ended:
            raise Refusal(unauthorized())
        if token in self._access:
            expires_at, user_id = self._access[token]
            if expires_at <= time.time():
                raise Refusal(unauthorized())
            return user_id
        claims = claims_of(token)
        if claims and float(claims.get("exp", time.time() + 1)) <= time.time():
            raise Refusal(unauthorized())
        if self.options.strict_tokens and token != LONG_LIVED_TOKEN:
            raise Refusal(unauthorized())
        return self.options.token_user_id or self.admin_id

    def scopes_of(self, authorization: str) -> frozenset[str]:
        """Return what a token may do: what it says itself, else what the options say."""
        own = claims_of(authorization.partition(" ")[2].strip()).get("scopes")
        return frozenset(own if isinstance(own, list) else members(self.options.token_scopes))

    def lacks(self, scope: str, authorization: str) -> bool:
        return scope not in self.scopes_of(authorization)

    def issue_access(self, *, host: str, seconds: float, user_id: int | None = None) -> str:
        """Return a new access token: a JWT with the claims Kommo's have."""
        user_id = (self.options.token_user_id or self.admin_id) if user_id is None else user_id
        issued_at = int(time.time())
        token = sign(
            {
                "aud": CLIENT_ID,
                "jti": secrets.token_hex(16),
                "iat": issued_at,
                "nbf": issued_at,
                "exp": int(issued_at + seconds),
                "sub": str(user_id),
                "grant_type": "",
                "account_id": self.account_id,
                "base_domain": "kommo.com",
                "version": 2,
                "scopes": members(self.options.token_scopes),
                "api_domain": host,
            }
        )
        self._access[token] = (issued_at + seconds, user_id)
        return token

    def has_ended(self, token: str) -> bool:
        return token in self._ended

    def end_access(self, token: str) -> None:
        """Refuse this one access token from now on."""
        self._ended.add(token)

    def expire_all(self) -> None:
        """End every issued access token; refresh tokens go on."""
        self._ended.update(self._access)

    def revoke_all(self) -> None:
        """End every issued token, as an administrator who switches the integration off does."""
        self.expire_all()
        self._ended.add(LONG_LIVED_TOKEN)
        for token in self._refresh.values():
            token.is_revoked = True

    # --- OAuth

    def issue_code(self, user_id: int | None = None) -> str:
        """Return an authorization code, good once and for 20 minutes."""
        code = "def50200" + secrets.token_hex(32)
        self._codes[code] = (time.time() + CODE_SECONDS, self.admin_id if user_id is None else user_id)
        return code

    def exchange(self, given: Json, *, host: str) -> Answer:
        """Answer `POST /oauth2/access_token`; raises Refusal with Kommo's hints."""
        if self.options.moved_to:
            raise moved(self.options)
        if given.get("client_id") != CLIENT_ID or given.get("client_secret") != CLIENT_SECRET:
            raise _refused("Client authentication failed", 401)
        if not given.get("redirect_uri"):
            raise _refused("Check the `redirect_uri` parameter", 400)
        grant = given.get("grant_type")
        if grant == "authorization_code":
            return self._answer(host, self._spend_code(str(given.get("code"))), parent=None)
        if grant == "refresh_token":
            old = self._use_refresh(str(given.get("refresh_token")))
            return self._answer(host, old.user_id, parent=old)
        raise _refused("Check that all required parameters have been provided", 400)

    def is_refresh_token(self, text: str) -> bool:
        return text in self._refresh

    def _spend_code(self, code: str) -> int:
        if code in self._spent_codes:
            raise _refused("Authorization code has been revoked", 400)
        if code not in self._codes:
            raise _refused("Cannot decrypt the authorization code", 400)
        expires_at, user_id = self._codes.pop(code)
        self._spent_codes.add(code)
        if expires_at <= time.time():
            raise _refused("Authorization code has expired", 400)
        return user_id

    def _use_refresh(self, text: str) -> RefreshToken:
        token = self._refresh.get(text)
        if token is None:
            raise _refused("Invalid refresh token", 400)
        if token.is_revoked:
            raise _refused("Token has been revoked", 401)
        if token.expires_at <= time.time():
            raise _refused("Token has expired", 401)
        # Documented: the predecessor stays good until its successor is first used.
        if token.parent:
            token.parent.is_revoked = True
        token.is_revoked = self.options.strict_rotation
        return token

    def _answer(self, host: str, user_id: int, *, parent: RefreshToken | None) -> Answer:
        seconds = self.options.access_token_seconds
        refresh = RefreshToken("def50200" + secrets.token_hex(48), time.time() + REFRESH_SECONDS, user_id, parent)
        self._refresh[refresh.text] = refresh
        body = {
            "token_type": "Bearer",
            "expires_in": seconds,
            "server_time": int(time.time()),
            "access_token": self.issue_access(host=host, seconds=seconds, user_id=user_id),
            "refresh_token": refresh.text,
        }
        return Answer(body, content_type="application/json")


def moved(options: Options) -> Refusal:
    """Return what a host answers whose account has another name by now."""
    if options.moved_status == 401:
        return Refusal(unauthorized())
    return Refusal(html_page(options.moved_status, f"{options.moved_status} {HTTPStatus(options.moved_status).phrase}"))


def sign(claims: Json) -> str:
    """Return a JWT (HS256), signed with a key of this process: nobody but Kommo checks its tokens."""
    return jwt.encode(claims, SIGNING_KEY, algorithm="HS256")


def claims_of(token: str) -> Json:
    """Return a JWT's claims without checking its signature; empty for a token of another shape."""
    try:
        found: Json = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
    except jwt.InvalidTokenError:
        return {}
    return found


def _refused(hint: str, status: int) -> Refusal:
    body = {
        "hint": hint,
        "title": "Requisição inválida",
        "type": "https://developers.kommo.com/v3/errors/OAuthProblemJson",
        "status": status,
        "detail": hint,
    }
    return Refusal(Answer(body, status, PROBLEM))
