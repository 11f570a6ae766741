import gc

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class BridgeConfig(AppConfig):
    name = "bridge"
    verbose_name = _("Bridge to Kommo")

    def ready(self) -> None:
        from django.conf import settings

        from bridge import checks, crash_reports, heartbeat, roles, signals, tracing  # noqa: F401  (registers checks, connects the receivers)
        from bridge.admin import admin_time_zone, audit_record  # noqa: F401  (connects the receivers)
        from bridge.errors import ConfigurationError
        from followups import channels

        crash_reports.start(settings.SENTRY_DSN, environment=settings.SENTRY_ENVIRONMENT)
        try:
            tracing.start(settings.OTEL_EXPORTER_OTLP_ENDPOINT)
        except ConfigurationError as error:
            raise ImproperlyConfigured(str(error)) from error
        channels.check()
        post_migrate.connect(roles.ensure, sender=self)
        heartbeat.end_with_supervisor()
        # What is loaded stays: no collection has to look at it again. manage.py and wsgi.py hold them off until here.
        gc.freeze()
        # Django makes and drops so much for every statement that looking as often as Python does by itself takes a
        # sixth of the time; looking this seldom lets a process grow by less than ten megabytes.
        gc.set_threshold(50_000, 50, 50)
        gc.enable()
