"""Take the pictures of the documents anew, and the film: the browser tests make them, and those shown are kept.

A picture is shown when a document names it: `images/NAME.png`; the films are kept in any case. What is drawn by hand
(.svg) stays as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
SHOWN = re.compile(r"images/([\w.-]+\.(?:png|webm))")


def shown() -> set[str]:
    """Return the names of the pictures and films that documents show."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return {name for path in documents for name in SHOWN.findall(path.read_text(encoding="utf-8"))}


def main() -> int:
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "tests/browser", *sys.argv[1:]]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | {"SCREENSHOTS": folder}, check=False)
        taken = {path.name for path in Path(folder).iterdir()}
        films = {name for name in taken if name.startswith("film")}
        for name in sorted(shown() & taken | films):
            shutil.copyfile(Path(folder) / name, IMAGES / name)
            print(f"docs/images/{name}")
    if missing := sorted(shown() - taken):
        print(f"Not taken: {', '.join(missing)}", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
