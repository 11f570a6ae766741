"""Where things lie: in a checkout beside the code; installed, ours inside the package and yours where you are.

Known before any setting is read, so it knows no Django.
"""

from __future__ import annotations

import sys
from pathlib import Path

CODE = Path(__file__).resolve().parent.parent
IS_CHECKOUT = (CODE / "manage.py").is_file()
# What comes with the code: templates, translations, playbooks, the example of an environment.
SHARED = CODE if IS_CHECKOUT else CODE / "bridge" / "shared"
# What a person types to get a `.env` and a bridge that serves.
STARTED_BY = "make run" if IS_CHECKOUT else "kommo-bridge run"
# What is made here: .env, data, collected static files.
HOME = CODE if IS_CHECKOUT else Path.cwd()
# How a module of ours is run as a process of its own. -P: a folder of yours that is called bridge is not ours.
MODULE = [sys.executable, "-m"] if IS_CHECKOUT else [sys.executable, "-P", "-m"]
# And one of our commands.
MANAGE = [sys.executable, str(CODE / "manage.py")] if IS_CHECKOUT else [*MODULE, "bridge"]
