"""What staff are told by mail also stands on a page: looked at by everybody, edited by nobody."""

from __future__ import annotations

from django.utils import timezone

from bridge import roles
from bridge.models import Alert
from tests.bridge.admin.people import client_of

LIST = "/admin/bridge/alert/"


def test_a_viewer_sees_what_is_wrong_its_remedy_and_whether_staff_know(db):
    now = timezone.now()
    alert = Alert.objects.create(
        subject="inbox: # wait", message="7 webhooks wait", remedy="start the worker", first_seen_at=now,
        last_seen_at=now, times_seen=4, telling_failed="mail: ConnectionRefusedError",
    )  # fmt: skip
    viewer = client_of(roles.READER)

    shown = viewer.get(LIST).content.decode()
    assert "7 webhooks wait" in shown
    assert "mail: ConnectionRefusedError" in shown
    assert "start the worker" in viewer.get(f"{LIST}{alert.pk}/change/").content.decode()
    assert f'href="{LIST}"' in client_of(roles.ADMINISTRATOR).get("/admin/").content.decode()


def test_nobody_makes_changes_or_deletes_one(staff):
    alert = Alert.objects.create(subject="s", first_seen_at=timezone.now(), last_seen_at=timezone.now())

    assert staff.get(f"{LIST}add/").status_code == 403
    assert staff.post(f"{LIST}{alert.pk}/change/", {"message": "all is well"}).status_code == 403
    assert staff.post(f"{LIST}{alert.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Alert.objects.get().message == ""
