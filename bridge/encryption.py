"""The bridge's own secrets at rest: tokens and keys of accounts (see leads/encryption.py)."""

from __future__ import annotations

from leads import encryption
from leads.encryption import PREFIX, decrypt, encrypt

__all__ = ["PREFIX", "EncryptedTextField", "decrypt", "encrypt"]


class EncryptedTextField(encryption.EncryptedTextField):
    """The field under the name that migrations know it by."""
