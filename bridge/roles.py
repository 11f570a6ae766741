"""Who may do what: four roles, shipped as groups, each with everything the one before it has.

A reader looks, a seller works with leads, a manager changes the rules, an administrator holds secrets and gives roles.
The groups are ours: every `migrate` sets their permissions again. Other mixtures are groups of staff's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db.models import Model, Q
from django.utils.translation import gettext_lazy as _

READER, SELLER, MANAGER, ADMINISTRATOR = ROLES = ("reader", "seller", "manager", "administrator")
NAMES = {READER: _("Reader"), SELLER: _("Seller"), MANAGER: _("Manager"), ADMINISTRATOR: _("Administrator")}
MEANING = {
    READER: _("sees leads and results, and changes nothing"),
    SELLER: _("works with leads: takes over, gives back, moves, holds and cancels follow-ups"),
    MANAGER: _("also changes rules and sequences, and takes lists out as files"),
    ADMINISTRATOR: _("also connects accounts, holds keys, gives roles and erases people"),
}
# What a page may do beyond adding, changing and deleting rows; declared on Account (bridge/models/account.py).
OPERATE, EXPORT = "bridge.operate", "bridge.export"
# Tables as they are stored, which only confuse whoever does not look after the installation.
ADVANCED = "bridge.add_account"
# A lead is never deleted: the person is forgotten and the counts stay.
ERASE = "leads.delete_lead"
# Whoever changes the rules also says whether anything goes out at all.
MANAGE = "leads.change_pipeline"

ROOMS = ("leads", "followups", "bridge", "django_q")
# Rows the bridge writes and a seller acts on; no page edits them by hand.
HANDLED = (
    "leads.lead", "followups.enrollment", "bridge.card", "bridge.drift", "bridge.webhookevent", "bridge.agentevent",
    "bridge.forgetting", "leads.probablysame", "bridge.intakecall",
)  # fmt: skip
# Rules without a history of their own; all others keep one.
RULES = frozenset({"leads.unmappedconversationstage", "bridge.rulesdraft", "bridge.rulesrevision"})
SECRETS = frozenset(
    {
        "bridge.account",
        "bridge.accountpipeline",
        "bridge.apikey",
        "bridge.intake",
        "bridge.channel",
        "auth.user",
        "auth.group",
    }
)
# Only an administrator looks at these at all.
PEOPLE = frozenset({"auth.user", "auth.group", "admin.logentry", "axes.accessattempt", "axes.accesslog"})


def permissions(role: str) -> frozenset[str]:
    """Return what a role may do, as `app.codename`."""
    codenames: set[str] = set()
    for each in ROLES[: ROLES.index(role) + 1]:
        codenames |= set(_own(each))
    return frozenset(codenames)


def _own(role: str) -> Iterator[str]:
    models = {model._meta.label_lower: model for model in apps.get_models()}
    if role == READER:
        yield from (_named(model, "view") for label, model in models.items() if model._meta.app_label in ROOMS)
    elif role == SELLER:
        yield OPERATE
        yield from (_named(models[label], "change") for label in HANDLED)
    elif role == MANAGER:
        yield EXPORT
        for label, model in models.items():
            if label in RULES or (model._meta.app_label in ("leads", "followups") and hasattr(model, "history")):
                yield from (_named(model, verb) for verb in ("add", "change", "delete"))
    else:
        yield ERASE
        for label in sorted(SECRETS & models.keys()):
            yield from (_named(models[label], verb) for verb in ("add", "change", "delete"))
        yield from (_named(models[label], "view") for label in sorted(PEOPLE & models.keys()))


def _named(model: type[Model], verb: str) -> str:
    return f"{model._meta.app_label}.{verb}_{model._meta.model_name}"


def ensure(**_signal: Any) -> None:
    """Make the four groups and set what each may do; a receiver of post_migrate."""
    wanted = {role: permissions(role) for role in ROLES}
    known = _known(frozenset().union(*wanted.values()))
    for role, names in wanted.items():
        group, _made = Group.objects.get_or_create(name=role)
        group.permissions.set([known[name] for name in names if name in known])


def _known(names: frozenset[str]) -> dict[str, Permission]:
    apps_named = {name.partition(".")[0] for name in names}
    rows = Permission.objects.filter(Q(content_type__app_label__in=apps_named)).select_related("content_type")
    return {f"{row.content_type.app_label}.{row.codename}": row for row in rows}


def role_of(user: Any) -> str:
    """Return the highest shipped role of a member of staff, or an empty text."""
    if user.is_superuser:
        return ADMINISTRATOR
    group_names = set(user.groups.values_list("name", flat=True))
    return next((role for role in reversed(ROLES) if role in group_names), "")
