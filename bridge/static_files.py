"""Static files under names that hold their content's hash, compressed once, when they are collected.

Collecting is a step of its own, and steps are forgotten. Pages are served all the same then, by the files' plain names
out of the packages that bring them; whoever starts a process and whoever asks `doctor` is told.
"""

from __future__ import annotations

import filecmp
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from whitenoise.compress import Compressor
from whitenoise.storage import CompressedManifestStaticFilesStorage

log = structlog.get_logger(__name__)

REMEDY = "run manage.py collectstatic --noinput, then restart the web server"


class Storage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """WhiteNoise's storage with gzip alone, and with plain names for what was never collected.

    Brotli at its best made the files a fifth smaller and collecting them, a part of every update, take 45 s of CPU
    instead of 2.
    """

    def create_compressor(self, **options: Any) -> Compressor:
        return super().create_compressor(**options | {"use_brotli": False})

    def load_manifest(self) -> tuple[dict[str, str], str]:
        try:
            paths, digest = super().load_manifest()
        except ValueError:
            # Half a file, left by a collecting that was cut off.
            return {}, ""
        return paths, digest

    def stored_name(self, name: str) -> str:
        try:
            return str(super().stored_name(name))
        except ValueError:
            return name


def collects() -> bool:
    """Return whether this installation serves collected files at all; with DEBUG it does not."""
    return bool(isinstance(staticfiles_storage, Storage))


def was_collected() -> bool:
    """Return whether files were ever collected here. Cheap; `uncollected` looks at each."""
    manifest = Path(settings.STATIC_ROOT) / str(Storage.manifest_name)
    return manifest.is_file()


def uncollected() -> list[str]:
    """Return the names of the files that are not served as the code has them now: missing, or of an older version."""
    root = Path(settings.STATIC_ROOT)
    collected, _digest = Storage().load_manifest()
    return [name for name, source in _sources() if not _is_current(root, name, source, collected)]


def _sources() -> Iterator[tuple[str, Path]]:
    """Yield each file that would be collected; of several with one name, the first is served."""
    seen: set[str] = set()
    for finder in finders.get_finders():
        for name, storage in finder.list(None):
            if name not in seen:
                seen.add(name)
                yield name, Path(storage.path(name))


def _is_current(root: Path, name: str, source: Path, collected: dict[str, str]) -> bool:
    copy = root / name
    if name not in collected or not copy.is_file() or not (root / collected[name]).is_file():
        return False
    here, there = source.stat(), copy.stat()
    if here.st_size != there.st_size:
        return False
    # Reading all of them takes a moment; a source that is older than its copy was not changed since.
    return here.st_mtime <= there.st_mtime or filecmp.cmp(source, copy, shallow=False)


def warn_if_uncollected() -> None:
    """Say in the log of a starting web server that static files are not collected, or are those of an older version."""
    if collects() and (names := uncollected()):
        log.warning("static_files_uncollected", files=len(names), example=names[0], remedy=REMEDY)
