"""By which words a lead is found: those of its name, kept beside it as the name is learned, corrected or erased."""

from __future__ import annotations

from django.db.models import QuerySet
from django.dispatch import receiver

from common.name_spellings import name_key
from common.statements import insert
from leads import announcements
from leads.announcements import Saved
from leads.models import Lead, NameWord

NAME = frozenset({"name"})
MOST_WORDS = 12


def words(name: str) -> list[str]:
    """Return the words of a name as they are compared, each once.

    >>> words("João  da Silva-Reis")
    ['joao', 'da', 'silva', 'reis']
    """
    spelled = "".join(character if character.isalnum() else " " for character in name_key(name))
    return [word[: NameWord.LONGEST] for word in dict.fromkeys(spelled.split())][:MOST_WORDS]


def named(leads: QuerySet[Lead], text: str) -> QuerySet[Lead]:
    """Narrow leads to those whose names have a word that begins so for each word of a text, in any order."""
    for word in words(text):
        leads = leads.filter(pk__in=NameWord.objects.filter(word__startswith=word).values("lead"))
    return leads


@receiver(announcements.leads_saved)
def follow(saved: list[Saved], **_: object) -> None:
    """Keep the words of names that were learned or changed. No statement where no name was."""
    renamed = [change for change in saved if change.touches(NAME)]
    if before := [change.lead.pk for change in renamed if not change.created]:
        NameWord.objects.filter(lead__in=before).delete()
    rows = [NameWord(lead_id=change.lead.pk, word=word) for change in renamed for word in words(change.lead.name)]
    insert(rows, ignore_conflicts=True)
