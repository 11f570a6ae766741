"""Using the rules pages as a browser does: open an editor, change a few boxes, save, publish."""

from __future__ import annotations

from django.urls import reverse

SECTIONS = ("stages", "conversation", "qualification", "fields", "hours")
SCORED = {"qualification_score": 60, "context": {"conversation_stage": "qualificação"}}


def page(name, pipeline, **more):
    return reverse(f"admin:rules_{name}", kwargs={"pk": pipeline.pk, **more})


def boxes(forms):
    """Return what a browser would send of these forms and formsets."""
    body = {}
    for form in forms:
        if hasattr(form, "management_form"):
            body |= boxes([form.management_form, *form.forms])
            continue
        for field in form:
            value = field.value()
            if hasattr(field.field.widget, "decompress"):
                value = field.field.widget.decompress(value) if not isinstance(value, list) else value
                body |= {
                    f"{field.html_name}_{place}": "" if content is None else content
                    for place, content in enumerate(value)
                }
            elif isinstance(value, dict):
                body |= {f"{field.html_name}-ours": list(value), f"{field.html_name}-theirs": list(value.values())}
            elif value is True:
                body[field.html_name] = "on"
            elif value is not None and value is not False:
                body[field.html_name] = list(value) if isinstance(value, tuple) else value
                if hasattr(field.field, "longest"):
                    body[field.html_name] = field.field.prepare_value(value)
    return body


def edit(client, path, *, button="save", **changes):
    """Open an editor, change the named boxes and press a button."""
    context = client.get(path).context
    body = boxes(context["editor"].forms()) | {"seen": context["prepared"].mark, "section": context["editor"].key}
    body |= {"slug": context["sequence"].slug} if context.get("sequence") else {}
    return client.post(path, {**body, **changes, button: "1"})


def threshold(client, pipeline, score, **more):
    answer = edit(client, page("section", pipeline, section="qualification"), min_score=score, **more)
    assert answer.status_code == 302, answer.context["mistakes"]
    return answer


def publish(client, pipeline, **facts):
    seen = client.get(page("review", pipeline)).context["prepared"].mark
    return client.post(page("review", pipeline), {"seen": seen, **facts})


def errors(answer):
    """Return what each form of an editor's page complains of."""
    return [form.errors for form in answer.context["editor"].forms()]
