"""Files brought into force the short way."""

from __future__ import annotations

import pytest

from bridge.configuration import exporting, yaml_file
from bridge.configuration.file_problems import RefusedError
from bridge.configuration.importing import bring_in
from tests.bridge.configuration.files import SOLAR


def bring(text, **more):
    return bring_in(text.encode(), reason="test", **more).changes


def exported():
    return yaml_file.dump(exporting.read())


def solar(changes):
    """The solar playbook with texts replaced, each of which must be there."""
    text = SOLAR
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def refusal(text):
    with pytest.raises(RefusedError) as refused:
        bring(text)
    return str(refused.value)
