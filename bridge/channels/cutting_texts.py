"""What of a text can leave as it is, and in how many parts. Pure.

A text is cut between paragraphs where that does, else between lines, sentences, words, and only a word that is longer
than all that is allowed is cut within, never within what a reader sees as one sign.
"""

from __future__ import annotations

import re
import unicodedata

# Where to cut, the better first; what matches goes, but for the end of a sentence.
PLACES = (
    # Each begins where a run of blanks begins, or blanks without end would be read from each of them.
    re.compile(r"(?<![^\S\n])[^\S\n]*+\n[^\S\n]*+\n\s*+"),
    re.compile(r"(?<!\s)\s*\n\s*+"),
    re.compile(r"(?<=[.!?…;:])\s+"),
    re.compile(r"\s+"),
)
# A part is at least so full where it is cut for the sake of a better place.
LEAST = 0.4
JOINER = "\u200d"
SKINS = range(0x1F3FB, 0x1F400)
FLAGS = range(0x1F1E6, 0x1F200)
TAGS = range(0xE0020, 0xE0080)
# How fast a person types, and for how long nobody wonders.
SIGNS_PER_SECOND, SHORTEST_PAUSE, LONGEST_PAUSE = 18.0, 1.0, 8.0


def cut(text: str, limit: int) -> list[str]:
    """Return a text in parts of at most `limit` characters, in order; one where it fits. Line breaks within stay."""
    left, parts = text.strip(), []
    while len(left) > limit:
        end, begin = _place(left, limit)
        parts.append(left[:end])
        left = left[begin:]
    return [part for part in (*parts, left) if part] or [text]


def _place(text: str, limit: int) -> tuple[int, int]:
    """Return where the first part ends and where the next begins."""
    least = int(limit * LEAST)
    for place in PLACES:
        # With what stands right behind the limit: a part may end where a space begins.
        found = [
            boundary
            for boundary in place.finditer(text, 0, limit + 1)
            if least <= boundary.start() <= limit and boundary.start() > 0
        ]
        if found:
            end = found[-1].start()
            return end, end + len(text[end:]) - len(text[end:].lstrip())
    if word := _before_a_word(text, limit):
        return word
    end = limit
    while end > 1 and is_within(text, end):
        end -= 1
    # Longer than all that is allowed, as only a joke is.
    end = limit if end <= 1 and is_within(text, end) else end
    return end, end


def _before_a_word(text: str, limit: int) -> tuple[int, int] | None:
    """Return where to cut so that the word at the limit stays whole, however short the part: a link works in one piece.

    None where no part could hold it either.
    """
    gap = next(reversed(list(PLACES[-1].finditer(text, 1, limit + 1))), None)
    if gap is None:
        return None
    word = PLACES[-1].split(text[gap.end() :], maxsplit=1)[0]
    return (gap.start(), gap.end()) if len(word) <= limit else None


def is_within(text: str, place: int) -> bool:
    """Say whether a cut before this character would part what is seen as one sign."""
    here, before = text[place], text[place - 1]
    code = ord(here)
    if before == JOINER or here == JOINER or code in SKINS or code in TAGS:
        return True
    # Accents, and the signs by which an emoji is coloured.
    if unicodedata.combining(here) or unicodedata.category(here) in ("Mn", "Me", "Mc"):
        return True
    if code in FLAGS and ord(before) in FLAGS:
        run = len(text[:place]) - len(text[:place].rstrip("".join(map(chr, FLAGS))))
        return run % 2 == 1
    return (before, here) == ("\r", "\n")


def pause(text: str) -> float:
    """Return how many seconds a person would take to type a text."""
    return min(max(len(text) / SIGNS_PER_SECOND, SHORTEST_PAUSE), LONGEST_PAUSE)
