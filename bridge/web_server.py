"""The web server as our own commands start it, in whatever folder somebody is.

gunicorn puts the folder it is started in before all others, and reads a `gunicorn.conf.py` that lies there. Who tries
the bridge beside an agent has packages there that are called `common` or `leads` too, and they are not ours.
"""

from __future__ import annotations

import os
import sys

from bridge.installed_paths import MODULE, SHARED

CONFIGURATION = SHARED / "deploy" / "gunicorn.conf.py"
COMMAND = [*MODULE, "bridge.web_server", "--config", str(CONFIGURATION), "bridge.wsgi:application"]


def main() -> None:
    # gunicorn adds the folder unless it is there already: so it comes last.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    from gunicorn.app.wsgiapp import run

    run()


if __name__ == "__main__":
    main()
