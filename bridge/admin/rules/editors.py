"""The editors of the rules pages: a part of a pipeline's document as forms, and the document with it changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.translation import gettext as _

from bridge.admin.rules import choices, step_results, timelines
from bridge.admin.rules.form_fields import records
from bridge.admin.rules.forms.conversation import MappingForm
from bridge.admin.rules.forms.fields import FieldForm, FlowsForm, TagForm
from bridge.admin.rules.forms.hours import HoursForm
from bridge.admin.rules.forms.qualification import CriterionForm, ThresholdForm
from bridge.admin.rules.forms.sequences import SequenceForm, StepForm
from bridge.admin.rules.forms.stages import PlacesForm, StageForm
from bridge.admin.rules.key_from_name import free_key
from bridge.configuration import document, yaml_file
from bridge.configuration.stages_wanted_in_kommo import Wish, Wishes
from bridge.models import StageInKommo
from leads.models import Pipeline, UnmappedConversationStage, UnmappedFlow

# How many conversation stages without a mapping are offered at once.
OFFERED = 20


class Editor:
    """One page of rules. `rules`: what it starts from, a draft or what holds; `wishes`: what it asks of Kommo."""

    key: ClassVar[str]

    def __init__(
        self, row: Pipeline, rules: document.Pipeline, data: Any = None, *, wishes: Wishes | None = None
    ) -> None:
        self.row, self.rules, self.data, self.wishes = row, rules, data, wishes or {}
        self.kommo = choices.kommo(row, rules.kommo_pipeline_id)
        self.build()

    def build(self) -> None:
        """Make the forms."""
        raise NotImplementedError

    def forms(self) -> Iterator[Any]:
        """Yield every form and formset, by which the page is valid or not."""
        raise NotImplementedError

    def wanted(self) -> document.Pipeline:
        """Return the document with what the forms say; they are valid."""
        raise NotImplementedError

    def in_kommo(self) -> Wishes | None:
        """Return what publishing is to ask of Kommo; None where the page has nothing to do with it."""
        return None

    def context(self) -> dict[str, Any]:
        return {}

    def is_valid(self) -> bool:
        # Every one is asked, so that a page shows all that is wrong at once.
        verdicts = [form.is_valid() for form in self.forms()]
        return all(verdicts)

    @property
    def names(self) -> dict[str, str]:
        return {stage.key: stage.name for stage in self.rules.stages}


class Stages(Editor):
    key = "stages"

    def build(self) -> None:
        rules = self.rules
        self.form = PlacesForm(self.data, initial={name: getattr(rules, name) for name in PlacesForm.base_fields})
        for field in self.form.fields.values():
            field.offer(rules.stages, none=_("nowhere: it stays where it is"))  # type: ignore[attr-defined]
        renames = {rename.stage.key: rename for rename in self.kommo.renamed if rename.stage.pipeline_id == self.row.pk}
        asked = (
            StageInKommo.objects.filter(stage__pipeline=self.row).exclude(wish="", answer="").select_related("stage")
        )
        self.stages = records(
            StageForm,
            "stages",
            rules.stages,
            self.data,
            StageForm.initial_of,
            kommo=self.kommo,
            wishes=self.wishes,
            renamed=renames,
            asked={question.stage.key: question for question in asked},
        )

    def forms(self) -> Iterator[Any]:
        yield from (self.form, self.stages)

    def wanted(self) -> document.Pipeline:
        stages = list(self.stages.records())
        if stages and stages[0].same_rank_as_previous:
            stages[0] = replace(stages[0], same_rank_as_previous=False)
        without = tuple(kind for kind in document.STATUS_IDS if all(stage.kind != kind for stage in stages))
        return replace(self.rules, stages=_with_keys(stages), without=without, **self.form.cleaned_data)

    def in_kommo(self) -> dict[str, Wish]:
        stages, forms = self.wanted().stages, self.stages.ordered_forms
        wishes = ((stage.key, form.to_wish()) for stage, form in zip(stages, forms, strict=True))
        return {key: wish for key, wish in wishes if wish}

    def context(self) -> dict[str, Any]:
        bound = sum(1 for stage in self.rules.stages if stage.kommo_status_id)
        return {
            "form": self.form,
            "stages": self.stages,
            "kommo": self.kommo,
            "bound": bound,
            "unbound": len(self.rules.stages) - bound,
        }


class Conversation(Editor):
    key = "conversation"

    def build(self) -> None:
        self.mappings = records(
            MappingForm,
            "mappings",
            self.rules.stage_mappings,
            self.data,
            MappingForm.initial_of,
            stages=self.rules.stages,
        )

    def forms(self) -> Iterator[Any]:
        yield self.mappings

    def wanted(self) -> document.Pipeline:
        return replace(self.rules, stage_mappings=self.mappings.records())

    def context(self) -> dict[str, Any]:
        unmapped = UnmappedConversationStage.objects.filter(pipeline=self.row).order_by("-times_seen", "-last_seen_at")
        targets = [stage for stage in self.rules.stages if stage.kind == "open"]
        return {"mappings": self.mappings, "unmapped": list(unmapped[:OFFERED]), "targets": targets}


class Qualification(Editor):
    key = "qualification"

    def build(self) -> None:
        self.old = self.rules.qualification or _usual_qualification(self.rules)
        self.form = ThresholdForm(self.data, initial=ThresholdForm.initial_of(self.old))
        for name in document.VERDICTS:
            self.form.fields[name].offer(self.rules.stages, none=_("stay where they are"))  # type: ignore[attr-defined]
        self.criteria = records(
            CriterionForm,
            "criteria",
            self.old.criteria,
            self.data,
            CriterionForm.initial_of,
            flows=self.rules.flows,
            locale=self.rules.locale,
        )

    def forms(self) -> Iterator[Any]:
        yield from (self.form, self.criteria)

    def wanted(self) -> document.Pipeline:
        wanted = replace(self.old, **self.form.cleaned_data, criteria=self.criteria.records())
        return replace(self.rules, qualification=wanted)

    def context(self) -> dict[str, Any]:
        return {"form": self.form, "criteria": self.criteria, "attributes": choices.attributes()}


class Fields(Editor):
    key = "fields"

    def build(self) -> None:
        self.form = FlowsForm(self.data, initial={"flows": self.rules.flows})
        self.fields = records(
            FieldForm,
            "fields",
            self.rules.fields,
            self.data,
            lambda field: FieldForm.initial_of(field, self.rules.flows),
            kommo=self.kommo,
        )
        self.tags = records(TagForm, "tags", self.rules.tags, self.data, TagForm.initial_of)

    def forms(self) -> Iterator[Any]:
        yield from (self.form, self.fields, self.tags)

    def wanted(self) -> document.Pipeline:
        flows = self.form.cleaned_data["flows"]
        return replace(self.rules, fields=self.fields.records(), tags=self.tags.records(), flows=flows)

    def context(self) -> dict[str, Any]:
        return {
            "form": self.form,
            "fields": self.fields,
            "tags": self.tags,
            "kommo": self.kommo,
            "attributes": choices.attributes(),
            "unmapped": list(UnmappedFlow.objects.filter(pipeline=self.row)[:OFFERED]),
        }


class Hours(Editor):
    key = "hours"

    def build(self) -> None:
        self.form = HoursForm(self.data, initial=HoursForm.initial_of(self.rules))

    def forms(self) -> Iterator[Any]:
        yield self.form

    def wanted(self) -> document.Pipeline:
        return self.form.applied_to(self.rules)

    def context(self) -> dict[str, Any]:
        return {"form": self.form}


class SequenceEditor(Editor):
    """One sequence of follow-ups; `slug` None begins a new one."""

    key = "sequences"

    def __init__(self, row: Pipeline, rules: document.Pipeline, data: Any = None, *, slug: str | None) -> None:
        self.slug = slug
        super().__init__(row, rules, data)

    def build(self) -> None:
        self.old = next((sequence for sequence in self.rules.sequences if sequence.slug == self.slug), None)
        self.form = SequenceForm(self.data, initial=SequenceForm.initial_of(self.old), old=self.old)
        self.form.offer(self.rules.stages)
        steps = self.old.steps if self.old else ()
        self.steps = records(StepForm, "steps", steps, self.data, StepForm.initial_of)

    def forms(self) -> Iterator[Any]:
        yield from (self.form, self.steps)

    def wanted(self) -> document.Pipeline:
        taken = {sequence.slug for sequence in self.rules.sequences}
        new = self.form.to_sequence(self.steps.ordered_forms, taken)
        if self.old is None:
            return replace(self.rules, sequences=(*self.rules.sequences, new))
        return replace(
            self.rules,
            sequences=tuple(new if sequence.slug == self.slug else sequence for sequence in self.rules.sequences),
        )

    def context(self) -> dict[str, Any]:
        now = timezone.now()
        timeline = timelines.of(self.rules, self.old, now=now) if self.old else []
        results = step_results.beside(self.row, self.old, now=now) if self.old else []
        for form in self.steps.forms:
            form.show_results(results)
        return {"form": self.form, "steps": self.steps, "sequence": self.old, "timeline": timeline}


EDITORS: dict[str, type[Editor]] = {
    editor.key: editor for editor in (Stages, Conversation, Qualification, Fields, Hours)
}


def _usual_qualification(rules: document.Pipeline) -> document.Qualification:
    made = yaml_file.complete(replace(rules, qualification=document.Qualification())).qualification
    assert made is not None
    return made


def _with_keys(stages: list[document.Stage]) -> tuple[document.Stage, ...]:
    """Give new stages a key made of their name that no other has."""
    taken = {stage.key for stage in stages if stage.key}
    keyed = []
    for stage in stages:
        if not stage.key:
            stage = replace(stage, key=free_key(stage.name, taken))
            taken.add(stage.key)
        keyed.append(stage)
    return tuple(keyed)
