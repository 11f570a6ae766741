"""The yardsticks: views that do the least a view can do, behind the same middleware as ours."""

from __future__ import annotations

from django.db import connection, models
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

URLCONF = "benchmarks.bare"


class Row(models.Model):
    """One row: what was posted, as it came."""

    body = models.BinaryField()

    class Meta:
        app_label = "benchmarks"

    def __str__(self) -> str:
        return str(self.pk)


def make_table() -> None:
    with connection.schema_editor() as editor:
        editor.create_model(Row)


@csrf_exempt
def insert(request: HttpRequest) -> HttpResponse:
    """Store the body in one row."""
    Row.objects.create(body=request.body)
    return HttpResponse(status=200)


def read(request: HttpRequest, row_id: int) -> JsonResponse:
    """Read one row by its primary key."""
    return JsonResponse({"bytes": len(Row.objects.get(pk=row_id).body)})


urlpatterns = [
    path("bare/", insert),
    path("bare/<int:row_id>/", read),
    path("", include("bridge.urls")),
]
