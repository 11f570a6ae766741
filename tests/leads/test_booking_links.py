from __future__ import annotations

from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads import booking_links

LEAD = UUID("0f9c1a2b-3c4d-4e5f-8a9b-0c1d2e3f4a5b")


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://cal.com/acme/visita", f"https://cal.com/acme/visita?metadata[lead]={LEAD}"),
        (
            "https://calendly.com/acme/visita?month=2026-12",
            f"https://calendly.com/acme/visita?month=2026-12&utm_content={LEAD}",
        ),
        (
            "https://agenda.example/visita#top",
            f"https://agenda.example/visita?metadata[lead]={LEAD}&utm_content={LEAD}#top",
        ),
        ("https://cal.com/a?metadata[lead]=somebody&x=1", f"https://cal.com/a?x=1&metadata[lead]={LEAD}"),
        ("", None),
        ("  ", None),
        ("cal.com/acme", None),
        ("javascript:alert(1)", None),
        ("https://", None),
    ],
)
def test_a_leads_link_carries_the_mark_once(url, link):
    assert booking_links.link(url, LEAD) == link


@given(st.text(max_size=60))
def test_whatever_the_address_is_the_mark_comes_back_from_it(text):
    for url in (text, f"https://agenda.example/{text}"):
        link = booking_links.link(url, LEAD)
        assert (link is None) == (booking_links.wrong(url) is not None or not url.strip())
        if link:
            query = parse_qs(urlsplit(link).query)
            assert [str(LEAD)] in (query.get(booking_links.CALENDLY), query.get(booking_links.CALCOM))
