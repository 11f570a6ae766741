"""API keys: made once, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import secrets
from hmac import compare_digest
from typing import Any, cast

from django.db.models import F, Subquery

from bridge.models import ApiKey
from common.statements import Select
from leads.models import Pipeline
from leads.rulebook import pipeline_at

PREFIX = "kb_"
SHOWN = 10
DEFAULT = Pipeline.objects.filter(is_default=True)
# With the versions of the key's own pipeline and of the one meant when none is named: while they stay, both are known.
IN_FORCE = Select(
    lambda key_hash: ApiKey.objects.filter(key_hash=key_hash, revoked_at=None).annotate(
        pipeline_version=F("pipeline__rules_version"),
        default_pipeline_id=Subquery(DEFAULT.values("pk")[:1]),
        default_version=Subquery(DEFAULT.values("rules_version")[:1]),
    )
)


def issue(key: ApiKey) -> str:
    """Store a new key under the name and pipeline given and return its text, which nobody can read again."""
    text = PREFIX + secrets.token_urlsafe(32)
    key.prefix, key.key_hash = text[:SHOWN], hash_key(text)
    key.save()
    return text


def find(text: str) -> ApiKey | None:
    """Return the key in force with this text."""
    # The hash of a random key of 256 bits needs no salt, and finds its row by index.
    wanted = hash_key(text)
    key: Any = IN_FORCE.first(key_hash=wanted)
    if key is None or not compare_digest(key.key_hash, wanted):
        return None
    if key.pipeline_id is not None:
        key.pipeline = pipeline_at(key.pipeline_id, key.pipeline_version)
    return cast(ApiKey, key)


def hash_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def pipeline_of(key: ApiKey) -> Pipeline | None:
    """Return the pipeline a call with this key is about when it names none. `key` comes from `find`."""
    if key.pipeline:
        return key.pipeline
    default_id, version = getattr(key, "default_pipeline_id", None), getattr(key, "default_version", 0)
    return pipeline_at(default_id, version) if default_id is not None else None
