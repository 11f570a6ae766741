"""Words that stand for nothing, and names that are none: what models put where they know nothing. Pure.

`null`, `N/A`, `não informado`, a lone dash: taken for something they become a tag, an option that Kommo lacks and
“Oi, null!”. Which words there are, staff decide for each pipeline; a message of a lead is never judged by them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from leads.names import name_key

USUAL_WORDS = (
    "null", "none", "nil", "nan", "n/a", "n.a.", "na", "undefined", "unknown", "not informed", "not provided",
    "not specified", "not available", "no name", "empty", "tbd", "não informado", "não informada", "não informou",
    "não especificado", "não disponível", "não sei", "desconhecido", "desconhecida", "nenhum", "nenhuma", "vazio",
    "sem nome", "sem informação", "indefinido", "a definir", "no informado", "no especificado", "desconocido",
    "ninguno", "ninguna", "sin nombre", "sin información", "no disponible",
)  # fmt: skip

# What people wrap around a word: quotes, brackets, markdown.
WRAPPING = " \t\r\n\"'`´“”‘’«»()[]{}<>*_~#|.,;:!?-–—/\\"
EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
PHONE = re.compile(r"[\d\s()+./-]{6,}")


@lru_cache(maxsize=64)
def _keys(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(_key(word) for word in words)


@lru_cache(maxsize=4096)
def _key(text: str) -> str:
    return name_key(text.strip(WRAPPING)) or name_key(text.strip())


def is_nothing(text: str, words: Collection[str]) -> bool:
    """Say whether a text stands for nothing: a word for it, or no letter and no digit at all."""
    if not any(character.isalnum() for character in text):
        return True
    return len(text) <= 100 and _key(text) in _keys(tuple(words))


def name_of(text: str) -> str:
    """Return a person's name as it can be written on a card: one line, without markdown; empty when it is none."""
    plain = " ".join(text.replace("*", " ").replace("`", " ").replace("#", " ").replace("_", " ").split())
    if not any(character.isalpha() for character in plain) or EMAIL.fullmatch(plain) or PHONE.fullmatch(plain):
        return ""
    return plain


def is_worse(name: str, known: str) -> bool:
    """Say whether a name tells less than the one that is known: a part of it, its initials, or shouted.

    A name with words of its own is another name, and news.
    """
    new, old = name_key(name).replace(".", " ").split(), name_key(known).replace(".", " ").split()
    if not old or not new:
        return False
    if new == old:
        return name != known and (name.isupper() or name.islower()) and not (known.isupper() or known.islower())
    left = list(old)
    for word in new:
        match = next((one for one in left if one == word or (len(word) == 1 and one.startswith(word))), None)
        if match is None:
            return False
        left.remove(match)
    return True
