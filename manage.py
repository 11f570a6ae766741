#!/usr/bin/env python
"""Run the bridge's management commands, with the local Kommo that a checkout brings along."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent / "packages" / "kommo-sandbox" / "src"))

from bridge.command import main

if __name__ == "__main__":
    main()
