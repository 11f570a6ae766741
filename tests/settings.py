"""The settings of the test suite: SQLite in memory unless TEST_DATABASE_URL names another database."""

import os

# As long as one that was drawn: what says so of others would say it on every page of the tests.
KEY = "tests-0d4f8b1c6a2e97f3-5b8e1a4c7d0f3962-e6c9b2a5d8f1047b-3a6d9c2f5e8b1704"
os.environ["ENV_FILE"] = os.devnull
os.environ.update({"DEBUG": "true", "SECRET_KEY": KEY, "SECURE": "false", "LANGUAGE_CODE": "en"})
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL") or "sqlite://:memory:"
# A test's transaction stays open while the test thinks.
os.environ["DATABASE_IDLE_SECONDS"] = "0"
for name in list(os.environ):
    if name.startswith(("KOMMO_", "AGENT_WEBHOOK")):
        del os.environ[name]

from bridge.settings import *  # noqa: E402, F403
from bridge.settings import MIDDLEWARE  # noqa: E402

DEBUG = False
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost", "bridge.example"]
# WhiteNoise scans STATIC_ROOT for every test client.
MIDDLEWARE = [name for name in MIDDLEWARE if "whitenoise" not in name]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
CACHES = {"default": {"BACKEND": "tests.json_cache.JsonCache"}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AXES_ENABLED = False
