from __future__ import annotations

import pytest

from bridge.kommo import hosts


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.8.8.8", True),
        ("http://LOCALHOST/", True),
        ("http://localhost.:80", True),
        ("http://bridge.localhost", True),
        ("http://[::1]", True),
        ("http://[::ffff:127.0.0.1]:9", True),
        ("http://0.0.0.0", True),
        ("http://[::]", True),
        ("http://acme.kommo.com@127.0.0.1", True),
        ("https://bridge.example", False),
        ("http://192.168.0.7", False),
        ("https://127.0.0.1.example.com", False),
    ],
)
def test_an_address_of_this_machine_is_known_in_every_spelling(url, here):
    assert hosts.is_this_machine(url) is here
