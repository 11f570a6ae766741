"""Settings of the bridge: every one comes from the environment or `.env` (see `.env.example`)."""

import base64
import hashlib
import os
import sys
from datetime import timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from bridge.environment import Environment, make_folder
from bridge.installed_paths import HOME, SHARED, STARTED_BY
from bridge.kommo.hosts import check_base_url

# In a checkout both are its folder (see bridge/installed_paths.py).
BASE_DIR = HOME
env = Environment(os.environ.get("ENV_FILE") or str(BASE_DIR / ".env"))

# --- Safety -----------------------------------------------------------------------------------------------------

DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = env.text("SECRET_KEY")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured(
            f"SECRET_KEY is empty. Put a long random value into .env (`{STARTED_BY}` writes one) or set DEBUG=true."
        )
    SECRET_KEY = "insecure-only-for-debug-" + hashlib.sha256(str(BASE_DIR).encode()).hexdigest()

LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]
# Loopback too, always: health checks of service managers and containers ask there.
ALLOWED_HOSTS = [*env.hosts("ALLOWED_HOSTS"), *LOOPBACK]
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")

# Newest first: the first key encrypts, all of them decrypt. Only DEBUG may do without a key of its own.
FIELD_ENCRYPTION_KEYS = env.keys("FIELD_ENCRYPTION_KEYS")
if not FIELD_ENCRYPTION_KEYS:
    if not DEBUG:
        raise ImproperlyConfigured(
            "FIELD_ENCRYPTION_KEYS is empty. Generate a key: "
            "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        )
    FIELD_ENCRYPTION_KEYS = [base64.urlsafe_b64encode(hashlib.sha256(SECRET_KEY.encode()).digest()).decode()]

# On as soon as a public host is served. Whoever terminates TLS says so with X-Forwarded-Proto.
SECURE = env.flag("SECURE", default=not DEBUG and bool(set(ALLOWED_HOSTS) - set(LOOPBACK)))
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", default=SECURE)
# What programs call is redirected by bridge/plain_http.py, which lets those on this machine pass.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$", r"^api/v1/", r"^intake/", r"^mcp"]
SECURE_HSTS_SECONDS = env.number("SECURE_HSTS_SECONDS", 31_536_000 if SECURE else 0, most=10**9)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SESSION_COOKIE_SECURE = SECURE
CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
# Two installations on one host share its cookies, whatever their ports.
SESSION_COOKIE_NAME = env.word("SESSION_COOKIE_NAME", "sessionid")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Scripts come from our own files alone. Alpine, which unfold's pages are made with, evaluates attributes; unfold puts
# its colours and widths into the page as styles: those two exceptions are its, and neither lets text become a script.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        # Consent is given at Kommo, and browsers hold the way there to this as well.
        "form-action": [
            "'self'",
            "https://*.kommo.com",
            "https://*.amocrm.ru",
            "https://*.amocrm.com",
            *(["http://127.0.0.1:*"] if DEBUG else []),
        ],
    }
}

# --- Applications -----------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.simple_history",
    # Its pages are loaded by bridge/urls.py: workers and commands have none, and start in half the time.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "simple_history",
    "axes",
    "csp",
    "django_q",
    "leads",
    "followups",
    "bridge",
]

MIDDLEWARE = [
    "bridge.correlation_id.Correlation",
    "django.middleware.security.SecurityMiddleware",
    "bridge.plain_http.CallersByTls",
    "bridge.content_policy.ContentPolicy",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "bridge.health.Probes",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "bridge.admin.without_nul.WithoutNulMiddleware",
    "bridge.admin.audit_record.RecordMiddleware",
    "bridge.admin.second_factor_page.RequiredMiddleware",
    "bridge.admin.admin_time_zone.ZoneMiddleware",
    "axes.middleware.AxesMiddleware",
]

# A new key of the API is shown once by a message: in a cookie it would travel, signed and readable.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
ROOT_URLCONF = "bridge.urls"
WSGI_APPLICATION = "bridge.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [SHARED / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database, cache, queue -------------------------------------------------------------------------------------

# PostgreSQL's, read on SQLite too: a mistyped line is told before somebody changes over.
# A migration may take its time, but never make the bridge wait for a lock it wants.
_statement_seconds = env.number("DATABASE_STATEMENT_SECONDS", 30, most=3_600)
_session = {
    "statement_timeout": f"{0 if 'migrate' in sys.argv[1:2] else _statement_seconds}s",
    "lock_timeout": f"{env.number('DATABASE_LOCK_SECONDS', 10, most=3_600)}s",
    # A transaction whose process is stuck gives its locks back.
    "idle_in_transaction_session_timeout": f"{env.number('DATABASE_IDLE_SECONDS', 60, most=3_600)}s",
}
# Planning a small statement takes the server longer than running it. A worker's look for the few rows of many that
# are due, and a plan for any value would not use the indexes that hold only those (docs/decisions/0028).
_works = sys.argv[1:2] in (["worker"], ["qcluster"])
_prepares = env.flag("DATABASE_PREPARED_STATEMENTS", default=True) and not _works
_prepared = {"server_side_binding": True, "prepare_threshold": 3} if _prepares else {}
_kept_seconds = env.number("DATABASE_CONN_MAX_AGE", 600, most=86_400)

DATABASES = {"default": env.database("DATABASE_URL", f"sqlite:///{BASE_DIR / 'data' / 'bridge.sqlite3'}")}
_database = DATABASES["default"]
if _database["ENGINE"].endswith("sqlite3"):
    # A path beside the code, from wherever a command is started: from cron it would be another, empty database.
    if not str(_database["NAME"]).startswith((":memory:", "file:")):
        _database["NAME"] = str(BASE_DIR / str(_database["NAME"]))
    make_folder("DATABASE_URL", Path(str(_database["NAME"])).parent)
    # IMMEDIATE: a transaction that reads before it writes waits for its turn instead of failing with "locked".
    _database |= {
        "CONN_MAX_AGE": 600,
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;"
            # What is erased is overwritten in the file too, however Python's SQLite was built.
            "PRAGMA secure_delete=ON;"
            "PRAGMA mmap_size=134217728; PRAGMA journal_size_limit=27103364; PRAGMA cache_size=-20000",
        },
    }
else:
    # No connection pool: the queue's cluster forks, and children would share the pool's sockets.
    _database |= {
        "CONN_MAX_AGE": _kept_seconds,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": _database.get("OPTIONS", {})
        | _prepared
        | {
            "connect_timeout": 5,
            # A host that vanishes without a word is noticed within half a minute, not after two hours.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            "options": " ".join(f"-c {name}={value}" for name, value in _session.items()),
        },
    }

REDIS_URL = env.redis("REDIS_URL")
# What keeps two installations on one Redis apart. The queue's messages are signed with it too.
Q_NAME = env.word("Q_NAME", "bridge")
CACHES = {
    "default": {"BACKEND": "bridge.redis_clients.Cache", "LOCATION": REDIS_URL, "KEY_PREFIX": Q_NAME}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# django-q2 is the hands, never the memory: our rows own retries, backoff and parking.
Q_CLUSTER = {
    "name": Q_NAME,
    "label": "Background jobs",
    "workers": env.number("Q_WORKERS", 2, least=1, most=64),
    "queue_limit": env.number("Q_WORKERS", 2, least=1, most=64),
    "bulk": 1,
    "poll": 0.2,
    "timeout": 60,
    # Counted from the dequeue: above (queue_limit / workers + 2) * timeout + timeout.
    "retry": 300,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": 0,
    "recycle": 500,
    "max_rss": 300_000,
    "catch_up": False,
    "log_level": "INFO",
}
if env.choice("Q_BROKER", ("orm", "redis"), "orm") == "redis":
    if not REDIS_URL:
        raise ImproperlyConfigured("Q_BROKER=redis needs REDIS_URL.")
    Q_CLUSTER["broker_class"] = "bridge.redis_clients.Broker"
else:
    Q_CLUSTER["orm"] = "default"

# --- Kommo and the agent: the values that fill the first account and pipeline --------------------------------------

KOMMO_BASE_URL = env.kommo("KOMMO_BASE_URL", check_base_url)
KOMMO_LONG_LIVED_TOKEN = env.token("KOMMO_LONG_LIVED_TOKEN")
KOMMO_CLIENT_ID = env.text("KOMMO_CLIENT_ID")
KOMMO_CLIENT_SECRET = env.text("KOMMO_CLIENT_SECRET")
KOMMO_REDIRECT_URI = env.address("KOMMO_REDIRECT_URI", "https://bridge.example/oauth/kommo/callback/")
# `shadow`: a new account starts so.
KOMMO_MODE = env.choice("KOMMO_MODE", ("active", "shadow"), "active")
KOMMO_PIPELINE_ID = env.number("KOMMO_PIPELINE_ID", 0, most=2**53) or None
KOMMO_REQUESTS_PER_SECOND = env.number("KOMMO_REQUESTS_PER_SECOND", 7, least=1, most=50)
KOMMO_BATCH_SIZE = env.number("KOMMO_BATCH_SIZE", 50, least=1, most=250)
# To one account, over all processes and hosts. No more than the ceiling are of use.
KOMMO_CALLS_AT_ONCE = env.number("KOMMO_CALLS_AT_ONCE", 4, least=1, most=50)
# Kommo's text counts calls by IP address: for hosts with several accounts, one ceiling for all of them together.
KOMMO_SHARED_CEILING = env.flag("KOMMO_SHARED_CEILING", default=False)
KOMMO_WEBHOOK_SECRET = env.path_part("KOMMO_WEBHOOK_SECRET")
AGENT_WEBHOOK_URL = env.address("AGENT_WEBHOOK_URL", "https://agent.example/hook")
AGENT_WEBHOOK_SECRET = env.text("AGENT_WEBHOOK_SECRET")
# Messages of one lead that come within this pause are told to the agent together; 0: each at once.
AGENT_DEBOUNCE_SECONDS = env.number("AGENT_DEBOUNCE_SECONDS", 6, most=300)
# When Kommo could not be asked for so long, the agent may not reply: a person may have taken over meanwhile.
HANDOFF_UNKNOWN_AFTER = timedelta(minutes=env.number("HANDOFF_UNKNOWN_AFTER_MINUTES", 30, least=1, most=10_000))
# How follow-ups leave: a dotted path, or empty for the agent's webhook (and the log while that is empty too).
FOLLOWUP_CHANNEL = env.dotted("FOLLOWUP_CHANNEL")
EVOLUTION_URL = env.address("EVOLUTION_URL", "https://evolution.example")
EVOLUTION_INSTANCE = env.text("EVOLUTION_INSTANCE")
EVOLUTION_API_KEY = env.token("EVOLUTION_API_KEY")
# Notes for sellers stand in Kommo under the name of the lead's responsible user, where Kommo allows that.
KOMMO_NOTES_BY_SELLER = env.flag("KOMMO_NOTES_BY_SELLER", default=False)
SALESBOT_ID = env.number("SALESBOT_ID", 0, most=2**53)
# Days each growing table keeps its rows; None for ever. Events are what a lead’s page tells of its past.
RETENTION_DAYS = {
    "webhooks": env.days("KEEP_WEBHOOKS_DAYS", 30),
    "deliveries": env.days("KEEP_DELIVERIES_DAYS", 90),
    "agent_events": env.days("KEEP_AGENT_EVENTS_DAYS", 30),
    "drift": env.days("KEEP_DRIFT_DAYS", 90),
    "followups": env.days("KEEP_FOLLOWUPS_DAYS", 365),
    "events": env.days("KEEP_EVENTS_DAYS", 730),
    "tasks": env.days("KEEP_TASKS_DAYS", 7),
    "logins": env.days("KEEP_LOGINS_DAYS", 90),
    # What people did in the admin.
    "record": env.days("KEEP_RECORD_DAYS", 730),
    # By which a report about somebody who was erased is known again, and not stored.
    "forgotten_reports": env.days("KEEP_FORGOTTEN_REPORTS_DAYS", 365),
}
METRICS_TOKEN = env.token("METRICS_TOKEN")
# How long writing one reply takes a person: what the hours saved are counted by.
MINUTES_PER_REPLY = env.number("MINUTES_PER_REPLY", 2, most=60)

# --- Alerts to staff: told once so many looks, one a minute, have found a trouble, over at least the grace ----------

ALERT_EMAILS = env.emails("ALERT_EMAILS")
ALERT_WEBHOOK_URL = env.address("ALERT_WEBHOOK_URL", "https://chat.example/hook")
ALERT_WEBHOOK_SECRET = env.text("ALERT_WEBHOOK_SECRET")
ALERT_AFTER_LOOKS = env.number("ALERT_AFTER_LOOKS", 3, least=1, most=1_000)
ALERT_GRACE = timedelta(minutes=env.number("ALERT_GRACE_MINUTES", 5, most=10_000))
# smtp+tls://user:password@host:587; without one, mail is written to the log.
vars().update(env.mail("EMAIL_URL", "consolemail://"))
DEFAULT_FROM_EMAIL = env.sender("DEFAULT_FROM_EMAIL", "bridge@localhost")
EMAIL_TIMEOUT = 10

# --- REST API -----------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["bridge.api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "bridge.api.error_answers.handle",
    "UNAUTHENTICATED_USER": None,
}
API_REQUESTS_PER_SECOND = env.number("API_REQUESTS_PER_SECOND", 100, least=1, most=100_000)
API_MAX_BODY_BYTES = 1024 * 1024
WEBHOOK_MAX_BODY_BYTES = 2 * 1024 * 1024
# Both ways in enforce bodies of their own size; Django's limit only has to let the larger one through.
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

SPECTACULAR_SETTINGS = {
    "TITLE": "Kommo bridge",
    "VERSION": "1",
    "DESCRIPTION": "What a sales agent tells the bridge, and asks it; under webhooks, what the bridge tells the agent.",
    # Whose types have null in them, and whose document has a place for what we send.
    "OAS_VERSION": "3.1.1",
    "SERVERS": [{"url": "/", "description": "The bridge this document comes from"}],
    "WEBHOOKS": "bridge.api.event_shapes.EVENTS",
    # Generators name types after these; a number behind a name would change with the next list of the same name.
    "ENUM_NAME_OVERRIDES": {
        "Actor": "bridge.api.answer_shapes.ACTORS",
        "AddressKind": "bridge.api.answer_shapes.ADDRESS_KINDS",
        "Direction": "bridge.api.serializers.DIRECTIONS",
        "FollowUpState": "bridge.api.answer_shapes.FOLLOWUP_STATES",
        "MessageState": "bridge.api.answer_shapes.MESSAGE_STATES",
        "MeetingStatus": "bridge.api.serializers.MEETING_STATUSES",
        "Sync": "bridge.api.answer_shapes.SYNC_STATES",
    },
    # The values again, each beside itself.
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "bridge.api.schema_links.add_links",
        "bridge.api.event_shapes.add_headers",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
}

# --- Login, language, time ---------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Wrong passwords of one name from one address; how many attempts an address has at all: bridge/admin/login_limits.py.
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_CALLABLE = "bridge.admin.locked_out.page"
AXES_ENABLE_ADMIN = False
AXES_CLIENT_IP_CALLABLE = "bridge.client_address.client_address"
# How many proxies of ours stand before the web server: each adds one address to X-Forwarded-For.
TRUSTED_PROXIES = env.number("TRUSTED_PROXIES", 1 if SECURE else 0, most=10)

# How long one answer to "is it you?" holds before something sensitive asks for the password again.
ADMIN_CONFIRM_MINUTES = env.number("ADMIN_CONFIRM_MINUTES", 10, most=1_440)
# Whether the admin opens for nobody without a second factor.
ADMIN_REQUIRE_SECOND_FACTOR = env.flag("ADMIN_REQUIRE_SECOND_FACTOR", default=False)

LANGUAGES = [("pt-br", _("Portuguese (Brazil)")), ("en", _("English")), ("es", _("Spanish"))]
LANGUAGE_CODE = env.choice("LANGUAGE_CODE", tuple(code for code, _name in LANGUAGES), "pt-br")
LOCALE_PATHS = [SHARED / "locale"]
TIME_ZONE = env.zone("TIME_ZONE", "America/Sao_Paulo")
USE_I18N = True
USE_TZ = True

# --- Static files ---------------------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"] if (BASE_DIR / "static").is_dir() else []
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage" if DEBUG else "bridge.static_files.Storage"
    },
}
# What was never collected is served from where it lies (see bridge/static_files.py).
WHITENOISE_USE_FINDERS = True

# --- Logs ---------------------------------------------------------------------------------------------------------

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMAT = env.choice("LOG_FORMAT", ("console", "json"), "console")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "console": {"()": "bridge.logs.formatter", "kind": "console"},
        "json": {"()": "bridge.logs.formatter", "kind": "json"},
    },
    "filters": {"one_line": {"()": "bridge.logs.OneLine"}, "no_long_parts": {"()": "bridge.logs.NoLongParts"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": env.choice("LOG_LEVEL", LOG_LEVELS, "info").upper()},
    "loggers": {
        # Its own handlers, one of them for DEBUG, would write each line once more and with all that is in it.
        "django": {"handlers": [], "level": "INFO"},
        "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "django-q": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "axes": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        # They name the paths and queries of what we call, which are secrets of messengers and chats: at `debug` of each
        # call, and as a warning where an answer is odd.
        **{name: {"level": "ERROR"} for name in ("urllib3", "requests")},
        # What it says of a call that went wrong names the path, where a secret may stand.
        "gunicorn.error": {"handlers": ["stderr"], "propagate": False},
        "django.security.DisallowedHost": {"filters": ["one_line"]},
        "django.request": {"filters": ["no_long_parts"]},
        "django.security.csrf": {"filters": ["no_long_parts"]},
    },
}

# Errors to Sentry, scrubbed as the log is; needs requirements-extra.lock.
SENTRY_DSN = env.dsn("SENTRY_DSN")
SENTRY_ENVIRONMENT = env.word("SENTRY_ENVIRONMENT", "development" if DEBUG else "production")
# Times of requests, jobs and calls to Kommo, to a collector of OpenTelemetry (OTLP over http).
OTEL_EXPORTER_OTLP_ENDPOINT = env.address("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")

# --- Admin --------------------------------------------------------------------------------------------------------

LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")
UNFOLD = {
    "SITE_TITLE": "Kommo bridge",
    "SITE_HEADER": "Kommo bridge",
    "SITE_SYMBOL": "sync_alt",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("bridge/favicon.svg")},
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"show_search": True, "command_search": True, "navigation": "bridge.admin.navigation.sidebar"},
    "ACCOUNT": {"navigation": [{"title": _("Two-step verification"), "link": reverse_lazy("second-factor")}]},
    "DASHBOARD_CALLBACK": "bridge.admin.dashboard.context",
    "STYLES": [lambda request: static("bridge/admin.css")],
    "SCRIPTS": [lambda request: static("bridge/chrome.js"), lambda request: static("bridge/find.js")],
    "SHOW_LANGUAGES": True,
}
