"""The second factor of staff: a code of an app on their phone (TOTP), or one of the recovery codes they keep.

Everybody decides for themselves; nobody has one until they confirmed a first code.
"""

from __future__ import annotations

from base64 import b32decode
from collections.abc import Iterable
from hashlib import sha256
from secrets import token_hex
from time import time
from typing import Any
from urllib.parse import quote, urlencode

from django.contrib.auth.models import User
from django.db import transaction
from django_otp.oath import TOTP

from bridge.models import SecondFactor

ISSUER = "Kommo bridge"
RECOVERY_CODES = 10
# A code of the step before or after counts too: clocks differ, and typing takes its time.
TOLERANCE = 1


def of(user: Any) -> SecondFactor | None:
    """Return the second factor this person uses, or None."""
    found: SecondFactor | None = SecondFactor.objects.filter(user=user, confirmed=True).first()
    return found


def begin(user: Any) -> SecondFactor:
    """Return what is to be scanned and confirmed. Beginning again keeps the key, and never one that is in use."""
    factor: SecondFactor = SecondFactor.objects.get_or_create(user=user)[0]
    return factor


def address(factor: SecondFactor) -> str:
    """Return what the QR code holds: the key as authenticator apps read it."""
    label = quote(f"{ISSUER}:{factor.user.get_username()}")
    return f"otpauth://totp/{label}?{urlencode({'secret': factor.key, 'issuer': ISSUER}, quote_via=quote)}"


@transaction.atomic
def confirm(user: Any, code: str) -> list[str]:
    """Take it into use when the code is right; return the recovery codes, or nothing when it is not."""
    factor = SecondFactor.objects.select_for_update().filter(user=user, confirmed=False).first()
    if factor is None or not _is_taken(factor, code):
        return []
    factor.confirmed = True
    return _renew(factor)


@transaction.atomic
def renew_recovery_codes(user: Any) -> list[str]:
    """Replace the recovery codes; the old ones are worth nothing from now on."""
    factor = SecondFactor.objects.select_for_update().filter(user=user, confirmed=True).first()
    return _renew(factor) if factor else []


@transaction.atomic
def is_right(user: Any, code: str) -> bool:
    """Say whether this is the code of the moment or a recovery code, and use it up."""
    factor = SecondFactor.objects.select_for_update().filter(user=user, confirmed=True).first()
    return factor is not None and _is_taken(factor, code)


def reset(users: Iterable[User]) -> int:
    """Let these people log in by password alone until they set one up again; return how many had one."""
    return int(SecondFactor.objects.filter(user__in=users).delete()[0])


def _is_taken(factor: SecondFactor, code: str) -> bool:
    allowed, _why = factor.verify_is_allowed()
    if not allowed:
        return False
    code = "".join(code.split()).lower()
    if not (_is_of_the_moment(factor, code) or _is_recovery(factor, code)):
        factor.throttle_increment()
        return False
    factor.throttle_reset(commit=False)
    factor.save()
    return True


def _is_of_the_moment(factor: SecondFactor, code: str) -> bool:
    if not (code.isascii() and code.isdigit() and len(code) == 6):
        return False
    totp = TOTP(b32decode(factor.key), drift=factor.drift)
    totp.time = time()
    if not totp.verify(int(code), TOLERANCE, factor.last_step + 1):
        return False
    factor.drift, factor.last_step = totp.drift, totp.t()
    return True


def _is_recovery(factor: SecondFactor, code: str) -> bool:
    digest = _digest(code)
    if digest not in factor.recovery_hashes:
        return False
    factor.recovery_hashes.remove(digest)
    return True


def _renew(factor: SecondFactor) -> list[str]:
    # 64 random bits: nobody guesses one, so a plain hash keeps them.
    raw = [token_hex(8) for _ in range(RECOVERY_CODES)]
    factor.recovery_hashes = [_digest(code) for code in raw]
    factor.save()
    return [f"{code[:8]}-{code[8:]}" for code in raw]


def _digest(code: str) -> str:
    return sha256(code.replace("-", "").encode()).hexdigest()
