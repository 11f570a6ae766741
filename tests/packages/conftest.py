from __future__ import annotations

import sys

from tests.repository import ROOT

sys.path.insert(0, str(ROOT / "packages" / "python-client" / "src"))
