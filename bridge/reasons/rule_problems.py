"""What rules have against each other, as who edits them on a page reads it.

The configuration's own words (bridge/configuration/contradictions.py, import_obstacles.py) speak to who writes its
file, by its keys and in English. `key` and `rest` may be anything; the first sentence that fits is taken.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

_GONE = "names an unknown stage: “%(key)s”%(rest)s"
PROBLEMS = {
    f"meeting_stage {_GONE}": _("A booked meeting takes the lead to the stage “%(key)s”, which is not there any more."),
    f"handoff_stage {_GONE}": _("A handoff takes the card to the stage “%(key)s”, which is not there any more."),
    f"on_reply {_GONE}": _("An answer takes the lead to the stage “%(key)s”, which is not there any more."),
    f"move_to {_GONE}": _("A rule of the conversation leads to the stage “%(key)s”, which is not there any more."),
    f"qualified_stage {_GONE}": _("Qualified leads go to the stage “%(key)s”, which is not there any more."),
    f"disqualified_stage {_GONE}": _("Disqualified leads go to the stage “%(key)s”, which is not there any more."),
    f"undecided_stage {_GONE}": _("Leads with missing facts go to the stage “%(key)s”, which is not there any more."),
    f"give_up_stage {_GONE}": _("A follow-up ends in the stage “%(key)s”, which is not there any more."),
    "%(a)s names what the pipeline has not: “%(key)s”%(rest)s": _("“%(key)s” is not there any more: choose another."),
    "another stage with kommo_status_id “%(key)s”; %(rest)s": _("Two stages are bound to the same stage of Kommo."),
    "another field with kommo_field_id “%(key)s”; %(rest)s": _(
        "Two lines show their values in the same field of Kommo."
    ),
    "another %(a)s with %(b)s “%(key)s”; %(rest)s": _("“%(key)s” is there twice."),
    "a new lead starts in the first stage, which cannot be %(a)s": _(
        "A new lead starts in the first stage: it cannot be one where leads end."
    ),
    "there is no stage before the first": _("There is no stage before the first."),
    "%(a)s is %(number)s in every pipeline of Kommo": _(
        "Won and lost are the same stages in every pipeline of Kommo: leave them bound as they were."
    ),
    "“%(key)s” has this name too, and %(rest)s": _(
        "Two stages have this name: bind both to Kommo, or call one of them otherwise."
    ),
    "there is no qualification to decide by: %(rest)s": _("There is no qualification to decide by yet."),
    "“%(key)s” is mapped above already %(rest)s": _("“%(key)s” has a rule further up already."),
    "“%(key)s” and “%(other)s” are the same name to the bridge": _("“%(key)s” and “%(other)s” are one name here."),
    "%(a)s compares with a number": _("Write a number here."),
    "%(a)s is shown in “%(key)s” already": _("The field “%(key)s” shows something else already."),
    "an option is named like %(a)s: “%(key)s”%(rest)s": _("The option “%(key)s” stands for nothing a lead can have."),
    "unknown attribute “%(key)s”%(rest)s": _(
        "“%(key)s” is nothing that is known of a lead: choose from the list, or write custom. and a name of your own."
    ),
    "one tag cannot be asked for and ruled out: %(rest)s": _("One tag cannot be asked for and ruled out."),
    "stage “%(key)s” is missing, but %(rest)s": _(
        "Leads stand in the stage “%(key)s”: move them to another one first, or keep it."
    ),
    "sequence “%(key)s” is missing, but %(rest)s": _(
        "Leads have been through the sequence “%(key)s”: make it inactive instead of taking it out."
    ),
    "“%(key)s” was there first and would be used instead: %(rest)s": _(
        "The sequence “%(key)s” is older and would be used instead: make it inactive."
    ),
    "somebody changed the configuration or its leads just now: %(rest)s": _(
        "Somebody changed the rules or their leads just now: try again."
    ),
}
