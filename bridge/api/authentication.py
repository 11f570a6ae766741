"""Who calls: `Authorization: Api-Key <key>`."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from bridge.api import api_keys
from bridge.models import ApiKey

SCHEME = "Api-Key"
# "Last used" is for people: a minute's grain saves a write at nearly every call.
LAST_USED_GRAIN = timedelta(minutes=1)


class ApiKeyAuthentication(BaseAuthentication):
    """Finds the key by its hash; request.auth and request.user are the ApiKey."""

    # In small letters.
    schemes: tuple[str, ...] = (SCHEME.lower(),)

    def authenticate(self, request: Request) -> tuple[ApiKey, ApiKey] | None:
        scheme, _, text = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() not in self.schemes:
            return None
        key = api_keys.find(text.strip())
        if key is None:
            raise AuthenticationFailed("The key is unknown or was revoked. Make one with: manage.py api_key NAME")
        now = timezone.now()
        if key.last_used_at is None or now - key.last_used_at > LAST_USED_GRAIN:
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
        return key, key

    def authenticate_header(self, request: Request) -> str:
        return SCHEME


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = ApiKeyAuthentication
    name = "ApiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Api-Key <key>`; make one with `manage.py api_key NAME`.",
        }
