"""The reference of the configuration file is what the file's description says, whole and up to date."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command

from bridge.configuration import document
from bridge.configuration.key_reference import markdown
from bridge.configuration.records import Record, keys_of

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"
RECORDS = [class_ for class_ in vars(document).values() if isinstance(class_, type) and issubclass(class_, Record)]


@pytest.mark.parametrize("record", [record for record in RECORDS if record is not Record])
def test_every_key_says_what_it_is_for_in_one_sentence(record):
    for key in keys_of(record):
        assert key.meaning.endswith("."), f"{record.called}: {key.name}"
        assert "|" not in key.meaning
        assert f"| `{key.name}` |" in markdown()


def test_the_written_reference_is_up_to_date(capsys):
    call_command("bridge_config", "reference")
    assert capsys.readouterr().out == DOCUMENT.read_text(encoding="utf-8"), (
        "run: manage.py bridge_config reference > docs/configuration.md"
    )
