"""How many attempts to log in to the admin may one address make, whoever is named?

How many wrong passwords one name has from one address is django-axes' (the settings AXES_…).
"""

from __future__ import annotations

from django.http import HttpRequest

from bridge.attempt_counter import count
from bridge.client_address import client_address

# An office behind one address logs in at ease, a script does not.
MOST_LOGINS_A_MINUTE = 30


def is_exceeded(request: HttpRequest) -> bool:
    """Count an attempt; say whether its address has made too many within the minute."""
    return count(f"logins:{client_address(request)}", seconds=60) > MOST_LOGINS_A_MINUTE
