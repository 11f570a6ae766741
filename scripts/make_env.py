"""Write a first `.env` with fresh secrets, readable by its owner alone. Never touches one that exists."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bridge import fresh_env  # noqa: E402

if __name__ == "__main__":
    fresh_env.write(ROOT / ".env")
