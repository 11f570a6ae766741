from __future__ import annotations

import sys

from tests.operations.test_documents import ROOT

sys.path.insert(0, str(ROOT / "packages" / "python-client" / "src"))
