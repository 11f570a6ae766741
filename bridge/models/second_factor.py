from __future__ import annotations

from base64 import b32encode
from os import urandom

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from django_otp.models import Device, ThrottlingMixin

from bridge.encryption import EncryptedTextField


def new_key() -> str:
    return b32encode(urandom(20)).decode()


class SecondFactor(ThrottlingMixin, Device):  # type: ignore[misc]
    """The code a member of staff gives at the login besides the password; asked for once `confirmed`.

    django-otp's own tables keep the key as it is; here it is under FIELD_ENCRYPTION_KEYS, as every secret. Each wrong
    code doubles the wait until the next is looked at, from one second.
    """

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="second_factor")
    name = None
    confirmed = models.BooleanField(_("in use"), default=False)
    key = EncryptedTextField(_("key"), default=new_key)
    # How many steps of 30 s the person's clock is off, and the last step a code was taken of: none is taken twice.
    drift = models.SmallIntegerField(default=0)
    last_step = models.BigIntegerField(default=-1)
    # SHA-256 of the codes for whoever has lost the phone; each is taken out when used.
    recovery_hashes = models.JSONField(default=list)

    class Meta:
        verbose_name = _("two-step verification")
        verbose_name_plural = _("two-step verifications")

    def __str__(self) -> str:
        return str(self.user)

    def get_throttle_factor(self) -> int:
        return 1
