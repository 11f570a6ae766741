"""Fail when something installed has a licence that has not been agreed to."""

import json
import subprocess
import sys
from pathlib import Path

ALLOWED = ("MIT", "BSD", "Apache", "ISC", "PSF", "Python Software Foundation", "MPL", "Mozilla Public", "LGPL",
           "GNU Lesser", "Unlicense", "Public Domain", "Zlib", "HPND", "CC0", "0BSD", "BlueOak")  # fmt: skip

# Packages whose metadata names no licence; what their licence file says was read for this very version.
READ = {
    ("axe-playwright-python", "0.1.8"): "MIT; the axe-core inside is MPL 2.0",
}


def main() -> int:
    command = [str(Path(sys.executable).with_name("pip-licenses")), "--format=json", "--from=mixed"]
    packages = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    strangers = [
        f"{package['Name']} {package['Version']}: {package['License']}"
        for package in packages
        if not any(name.lower() in package["License"].lower() for name in ALLOWED)
        and (package["Name"], package["Version"]) not in READ
    ]
    for line in strangers:
        print(f"licence not agreed to: {line}", file=sys.stderr)
    print(f"{len(packages)} packages, {len(strangers)} with a licence not agreed to")
    return 1 if strangers else 0


if __name__ == "__main__":
    sys.exit(main())
