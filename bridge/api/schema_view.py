"""The API's own description, at /api/schema/: made once in a process, whoever asks and however often.

Making it takes half a second of a processor, and anybody may ask for it: some callers at once would hold every thread
of the web server.
"""

from __future__ import annotations

from functools import cache

from django.http import HttpResponse
from django.utils import translation
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request


class Description(SpectacularAPIView):
    # The address chooses no version and no language: there is one of each.
    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        renderer = request.accepted_renderer
        kind = f"{renderer.media_type}; charset={renderer.charset}" if renderer.charset else renderer.media_type
        inline = f'inline; filename="Kommo bridge.{renderer.format}"'
        return HttpResponse(_written(renderer.media_type), content_type=kind, headers={"Content-Disposition": inline})


@cache
def _written(media_type: str) -> bytes:
    renderer = next(candidate for candidate in Description.renderer_classes if candidate.media_type == media_type)
    # One language for programs, as their answers have.
    with translation.override("en"):
        generator = SchemaGenerator()  # type: ignore[no-untyped-call]
        document = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
        written = renderer().render(document, renderer_context={})
    return written if isinstance(written, bytes) else str(written).encode()
