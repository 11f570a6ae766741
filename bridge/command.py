"""The commands, as `manage.py` in a checkout and as `kommo-bridge` where the package is installed."""

from __future__ import annotations

import gc
import os
import sys
from importlib.util import find_spec

from bridge import fresh_env
from bridge.installed_paths import HOME, IS_CHECKOUT

# They serve this machine alone, and must run before anything is configured.
LOCAL_TOOLS = ("demo", "kommo_sandbox")


def main() -> None:
    # Nothing of what loading makes is garbage, and looking for some takes a fifth of the start; bridge/apps.py ends it.
    gc.disable()
    if sys.argv[1:2] and sys.argv[1] in LOCAL_TOOLS:
        if not (find_spec("kommo_sandbox") and find_spec("werkzeug")):
            sys.exit(f"{sys.argv[1]} needs the local Kommo, which images leave out: use a checkout or the wheel.")
        os.environ.setdefault("DEBUG", "true")
    elif sys.argv[1:2] == ["run"] and not (IS_CHECKOUT or {"SECRET_KEY", "ENV_FILE"} & os.environ.keys()):
        # As `make run` does in a checkout.
        fresh_env.write(HOME / ".env")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bridge.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import InterfaceError, OperationalError, ProgrammingError

    from bridge import database_faults

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Error: {error}")
    except (InterfaceError, OperationalError, ProgrammingError) as error:
        if "--traceback" in sys.argv:
            raise
        # A server that is away, a full disk, or tables that are not there yet.
        remedy = database_faults.remedy(error)
        reason = " ".join(str(error).split())[:200]
        sys.exit(f"Error: the database: {reason}. What to do: {remedy}; then manage.py doctor.")
