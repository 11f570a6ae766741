from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from bridge.configuration import contradictions, exporting, key_reference, yaml_file
from bridge.configuration.file_problems import RefusedError
from bridge.configuration.importing import bring_in
from bridge.installed_paths import SHARED
from bridge.management.pageless import PagelessCommand


class Command(PagelessCommand):
    help = (
        "Write the whole configuration that staff edit to one YAML file, or bring such a file into force: pipelines, "
        "stages, mappings, qualification, flows, fields, tags, follow-ups and hours."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="export|import|reference")
        export = actions.add_parser("export", help="write the configuration; without FILE to the standard output")
        export.add_argument("file", nargs="?", metavar="FILE")
        bring = actions.add_parser(
            "import", help="check the whole file, then make the configuration what it says: all of it or nothing"
        )
        bring.add_argument("file", metavar="FILE")
        bring.add_argument("--dry-run", action="store_true", help="check and show what would change, change nothing")

        actions.add_parser("reference", help="print every key of the file with its type, default and meaning")

    def handle(self, *, action: str, file: str | None = None, dry_run: bool = False, **_: Any) -> None:
        if action == "reference":
            self.stdout.write(key_reference.markdown(), ending="")
        elif action == "export":
            self._export(file)
        else:
            self._import(str(file), dry_run)

    def _export(self, file: str | None) -> None:
        text = yaml_file.dump(exporting.read())
        if file is None:
            self.stdout.write(text, ending="")
        else:
            try:
                Path(file).write_text(text, encoding="utf-8")
            except OSError as error:
                raise CommandError(f"{file} cannot be written: {error.strerror}") from error
        for problem in _problems(text):
            self.stderr.write(f"An import would refuse this: {problem}. Correct it in the admin.")

    def _import(self, file: str, dry_run: bool) -> None:
        try:
            data = _named(file).read_bytes()
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}") from error
        try:
            done = bring_in(data, reason=f"bridge_config import {Path(file).name}"[:100], dry_run=dry_run)
        except RefusedError as error:
            raise CommandError(f"{file} is refused, nothing was changed.\n{error}") from error
        for line in done.changes:
            self.stdout.write(f"  {line}")
        if not done.changes:
            self.stdout.write(f"{file} is already in force; nothing changed.")
            return
        count = "1 change" if len(done.changes) == 1 else f"{len(done.changes)} changes"
        self.stdout.write(f"{count} would be made; nothing was changed." if dry_run else f"{count} made.")
        if done.unbound:
            self.stdout.write(f"{done.unbound} of its parts are not bound to Kommo yet: run manage.py kommo_connect.")


def _problems(text: str) -> list[Any]:
    """Return why an import would refuse what was exported: the admin lets more pass than can work."""
    try:
        return sorted(contradictions.find(yaml_file.parse(text.encode())))
    except RefusedError as error:
        return list(error.problems)


def _named(file: str) -> Path:
    """Return the file that is meant; where there is none, the playbook that comes with us under this name."""
    path = Path(file)
    shipped = SHARED / "playbooks" / Path(file).name
    return shipped if not path.exists() and shipped.is_file() and path.parent.name in ("", "playbooks") else path
