"""The web server in production: `gunicorn -c deploy/gunicorn.conf.py bridge.wsgi:application`."""

import json
import logging
import os
from datetime import UTC, datetime

from gunicorn.glogging import Logger


class Line(logging.Formatter):
    """A line of the main process as the bridge writes its own: in the same clock, and JSON where the others are.

    Made here, because the main process outlives our code: what it had imported of it, a reload would not renew.
    """

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        level, said = record.levelname.lower(), record.getMessage()
        failed = self.formatException(record.exc_info) if record.exc_info else ""
        if os.environ.get("LOG_FORMAT", "").strip().lower() == "json":
            told = {"event": said, "level": level, "logger": record.name, "timestamp": at}
            return json.dumps(told | ({"exception": failed} if failed else {}), ensure_ascii=False)
        return "\n".join(filter(None, (f"{at} [{level:<9}] {said} [{record.name}]", failed)))


class MainProcess(Logger):
    def setup(self, cfg) -> None:  # type: ignore[no-untyped-def]
        super().setup(cfg)
        for handler in self.error_log.handlers:
            # Its own: with the application loaded before, ours hang there too.
            if getattr(handler, "_gunicorn", False):
                handler.setFormatter(Line())


def number(name: str, default: int) -> int:
    given = os.environ.get(name, "").strip() or str(default)
    if not (given.isascii() and given.isdigit() and 1 <= int(given) <= 1_000):
        raise SystemExit(
            f"{name}: “{given}” cannot be used. It takes a whole number from 1 to 1000. Left empty: {default}."
        )
    return int(given)


bind = os.environ.get("WEB_BIND") or "127.0.0.1:8000"
worker_class = "gthread"
workers = number("WEB_WORKERS", 2)
# SQLite has one writer at a time: fewer threads wait for it more fairly. On PostgreSQL 4 served most.
threads = number("WEB_THREADS", 2 if (os.environ.get("DATABASE_URL") or "sqlite").startswith("sqlite") else 4)
timeout = 30
# Requests under way end within this after a stop; the service manager waits a little longer.
graceful_timeout = 20
keepalive = 5
# A leak of a library would be forgotten with its process, and not by all of them at once.
max_requests = 10_000
max_requests_jitter = 1_000
limit_request_line = 4094
limit_request_fields = 60
limit_request_field_size = 8190
# Who may say with X-Forwarded-Proto that the outside is https.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")
# Heartbeats of its own processes belong into memory, not onto a disk that may be busy.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
loglevel = "warning"
logger_class = MainProcess
