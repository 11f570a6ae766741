from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LeadsConfig(AppConfig):
    name = "leads"
    verbose_name = _("Leads and rules")

    def ready(self) -> None:
        from leads import milestones, name_words, signals, stage_history  # noqa: F401  (connects the receivers)
