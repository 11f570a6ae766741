"""Words that stand for nothing, and names that are none: what models put where they know nothing. Pure.

`null`, `N/A`, `não informado`, a lone dash: taken for something they become a tag, an option that Kommo lacks and
“Oi, null!”. Which words there are, staff decide for each pipeline; a message of a lead is never judged by them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache

from common.name_spellings import name_key

USUAL_WORDS = (
    "null", "none", "nil", "nan", "n/a", "n.a.", "na", "undefined", "unknown", "not informed", "not provided",
    "not specified", "not available", "no name", "empty", "tbd", "não informado", "não informada", "não informou",
    "não especificado", "não disponível", "não sei", "desconhecido", "desconhecida", "nenhum", "nenhuma", "vazio",
    "sem nome", "sem informação", "indefinido", "a definir", "no informado", "no especificado", "desconocido",
    "ninguno", "ninguna", "sin nombre", "sin información", "no disponible",
)  # fmt: skip

# What forms, schemas and prompts call a person whose name nobody filled in. Of a flow or a text they may be the name.
LABELS = (
    "name", "full name", "first name", "last name", "your name", "lead name", "customer name", "client name",
    "contact name", "user name", "username", "nome", "nome completo", "primeiro nome", "sobrenome", "seu nome",
    "nome do cliente", "nome da cliente", "nome do lead", "nome do contato", "nome do usuário", "nombre",
    "nombre completo", "nombre del cliente", "tu nombre", "su nombre", "lead", "client", "customer", "contact", "user",
    "guest", "visitor", "prospect", "anonymous", "string", "text", "placeholder", "cliente", "contato", "contacto",
    "usuário", "usuária", "usuario", "visitante", "anônimo", "anônima", "anónimo", "não quis informar",
    "não quis dizer", "prefere não informar", "prefiro não informar", "não informou o nome", "novo lead", "new lead",
    "unknown user", "unknown lead", "whatsapp user", "usuário do whatsapp",
)  # fmt: skip
# A template that nobody filled in: {{name}}, {nome}, ${name}, %name%, <nome>, [Nome].
TEMPLATE = re.compile(r"\$?\{.*\}|%\w+%|<[^<>]*>|\[[^\[\]]*\]|.*(\{\{|\}\}|\$\{).*")
# What a first and a last name that were joined leave of the one that is missing. It begins where a run of signs begins,
# or "! ! ! …" would be read from each sign to its end.
TRAILING = re.compile(r"(?<!\W)([^\w\s]*+)\s+\W*(?:null|undefined|none|nan|n/a)\W*$", re.IGNORECASE)
TITLES = frozenset(
    (
        "sr", "sra", "srta", "senhor", "senhora", "seu", "dona", "dom", "don", "dr", "dra", "doutor", "doutora",
        "prof", "mr", "mrs", "ms", "miss", "mister", "sir", "madam",
    )
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
    if TEMPLATE.fullmatch(" ".join(text.split())):
        return ""
    plain = " ".join(text.replace("*", " ").replace("`", " ").replace("#", " ").replace("_", " ").split())
    plain = TRAILING.sub(r"\1", plain)
    if not any(character.isalpha() for character in plain) or EMAIL.fullmatch(plain) or PHONE.fullmatch(plain):
        return ""
    if _key(plain) in _keys(LABELS) or all(_key(word) in _keys(USUAL_WORDS) for word in plain.split()):
        return ""
    return plain


def is_worse(name: str, known: str) -> bool:
    """Say whether a name tells less than the one that is known: a part of it, its initials, shouted, or adorned.

    A name with words of its own is another name, and news. Titles and signs are no words.
    """
    new, old = _words(name), _words(known)
    if not old or not new:
        return False
    if new == old:
        is_shouted = (name.isupper() or name.islower()) and not (known.isupper() or known.islower())
        return name != known and (is_shouted or _signs(name) > _signs(known))
    left = list(old)
    for word in new:
        match = next(
            (leftover for leftover in left if leftover == word or (len(word) == 1 and leftover.startswith(word))), None
        )
        if match is None:
            return False
        left.remove(match)
    return True


def _words(name: str) -> list[str]:
    words = [word for word in name_key(name).replace(".", " ").split() if any(map(str.isalnum, word))]
    return [word for word in words if word not in TITLES] or words


def _signs(name: str) -> int:
    """Return how many signs of no script a name has: emoji, stars."""
    return sum(unicodedata.category(character) in ("So", "Sk", "Sm", "Cf") for character in name)
