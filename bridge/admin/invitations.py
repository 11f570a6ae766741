"""Somebody new is invited by e-mail and chooses their own password; nobody types, sends or learns it for them."""

from __future__ import annotations

from smtplib import SMTPException
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import Group, User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import PasswordResetConfirmView
from django.core.mail import send_mail
from django.http import HttpRequest
from django.urls import reverse, reverse_lazy
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext, gettext_lazy
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminTextInputWidget,
)

from bridge import roles
from bridge.admin import audit_record


def choices() -> list[tuple[str, Any]]:
    """Return the roles with what each may do, the least first."""
    return [(role, f"{roles.NAMES[role]}: {roles.MEANING[role]}") for role in roles.ROLES]


# Mail of an installation without a mail server: it is written to the log.
TO_THE_LOG = "django.core.mail.backends.console.EmailBackend"


class RoleField(forms.ChoiceField):
    widget = UnfoldAdminRadioSelectWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(label=gettext_lazy("role"), choices=choices, **kwargs)


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]
    email = forms.EmailField(label=gettext_lazy("e-mail"), widget=UnfoldAdminEmailInputWidget)
    first_name = forms.CharField(
        label=gettext_lazy("name"), max_length=150, required=False, widget=UnfoldAdminTextInputWidget
    )
    role = RoleField(initial=roles.SELLER)

    class Meta:
        model = User
        fields = ("email", "first_name")

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].strip().lower()
        if User.objects.filter(username=email).exists() or User.objects.filter(email__iexact=email).exists():
            raise forms.ValidationError(gettext("Somebody with this e-mail is here already."))
        return email

    def save(self, commit: bool = True) -> User:
        user: User = super().save(commit=False)
        user.username, user.is_staff = user.email, True
        user.set_unusable_password()
        if commit:
            user.save()
        return user


def give_role(user: User, role: str) -> None:
    """Give one of the shipped roles in place of the others; groups of staff's own stay."""
    user.groups.remove(*Group.objects.filter(name__in=roles.ROLES).exclude(name=role))
    user.groups.add(Group.objects.get(name=role))


def invite(request: HttpRequest, user: User) -> None:
    """Send the link by which somebody sets their password, and show it to who invites them: mail may not arrive.

    Where mail goes to the log it is shown alone: whoever reads logs would choose the password.
    """
    link = request.build_absolute_uri(link_of(user))
    audit_record.note(request, "Invited", rows=[user])
    if settings.EMAIL_BACKEND == TO_THE_LOG:
        message = gettext("No e-mail is set up here (EMAIL_URL). Give the person this link yourself: %(link)s")
        messages.warning(request, message % {"link": link})
        return
    text = gettext(
        "You are invited to the Kommo bridge.\n\nYour user name: %(name)s\nChoose your password here: %(link)s\n\n"
        "The link works once, for three days."
    )
    try:
        send_mail(
            gettext("Your access to the Kommo bridge"),
            text % {"name": user.get_username(), "link": link},
            None,
            [user.email],
        )
    except (OSError, SMTPException) as error:
        message = gettext("The e-mail could not be sent (%(error)s). Give the person this link yourself: %(link)s")
        messages.warning(request, message % {"error": error, "link": link})
    else:
        message = gettext("Invitation sent to %(email)s. If it does not arrive, give the person this link: %(link)s")
        messages.success(request, message % {"email": user.email, "link": link})


def link_of(user: User) -> str:
    """Return the path that lets exactly this person set a password, once, as long as they never logged in."""
    about = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("invited", args=[about, default_token_generator.make_token(user)])


class PasswordForm(SetPasswordForm):  # type: ignore[type-arg]
    """Django's own, as the admin's other fields look."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})


class Welcome(PasswordResetConfirmView):
    """The page behind the link: two fields for the password, then the login."""

    template_name = "admin/invited.html"
    form_class = PasswordForm
    success_url = reverse_lazy("admin:login")
