"""Whether a request is for the admin: what its middlewares do is not done, nor paid for, anywhere else."""

from __future__ import annotations

from functools import cache

from django.http import HttpRequest
from django.urls import reverse


def is_for_the_admin(request: HttpRequest) -> bool:
    return request.path.startswith(_front_page())


@cache
def _front_page() -> str:
    return reverse("admin:index")
