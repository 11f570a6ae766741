"""What is typed or asked for in the admin holds no NUL: one of the databases takes none, and nobody means one.

Forms of Django's refuse it; pages that read what was posted by themselves would each have to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponseBase, QueryDict

from bridge.admin.is_admin_request import is_for_the_admin


class WithoutNulMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> None:
        """Take it out of the query and the form, once it is known that the form is ours."""
        if is_for_the_admin(request):
            request.GET = _without_nul(request.GET)  # type: ignore[assignment]
            if request.method == "POST":
                request.POST = _without_nul(request.POST)  # type: ignore[assignment]


def _without_nul(posted: QueryDict) -> QueryDict:
    if not any("\0" in value for _, values in posted.lists() for value in values):
        return posted
    kept = posted.copy()
    for name, values in posted.lists():
        kept.setlist(name, [value.replace("\0", "") for value in values])
    return kept
