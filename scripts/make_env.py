"""Write a first `.env` with fresh secrets, readable by its owner alone. Never touches one that exists."""

import base64
import os
import secrets
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent.parent / ".env.example"
TARGET = TEMPLATE.with_name(".env")


def main() -> None:
    fresh = {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "FIELD_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }
    lines = []
    for line in TEMPLATE.read_text(encoding="utf-8").splitlines():
        name = line.partition("=")[0]
        lines.append(f"{name}={fresh[name]}" if name in fresh else line)
    try:
        descriptor = os.open(TARGET, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    print("Wrote .env with fresh secrets. The demo needs no more; for an account of yours, name it there.")


if __name__ == "__main__":
    main()
