"""The files of this repository, for tests that read them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")
