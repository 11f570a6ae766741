"""Sentences by which a lead may ask for no more messages, without one of the pipeline's words for it. Pure.

Nothing follows from one by itself: “não quero mais esperar” asks for the opposite. A person is shown it and decides.
"""

from __future__ import annotations

import re

from common.name_spellings import name_key
from common.reasons import Reason

MAY_ASK_TO_STOP = Reason("may_have_asked_to_stop")
# Whoever writes more than this says more than goodbye.
LONGEST = 300
# As name_key leaves them: without capitals and accents, signs as spaces.
SENTENCES = (
    # Portuguese
    r"nao (quero|desejo) mais", r"nao (quero|desejo) receber", r"sair d(a|essa|esta) lista",
    r"(pare|para|parem|parar) de (me )?(mandar|enviar|chamar|ligar|escrever|incomodar|encher|perturbar)",
    r"nao (me )?(mande|mandem|manda|envie|enviem|chame|chamem|chama|escreva|escrevam|incomode|incomodem|procure) mais",
    r"(tira|tire|tirem|retire|remove|remova|exclui|exclua) (me |meu (numero|contato|nome) )?d(a|essa|esta) lista",
    r"(tira|tire|retire|remova|remove|exclua|exclui|apague|apaga|delete|deleta) (o )?meu (numero|contato|telefone)",
    r"(quero|queria|gostaria de) (me descadastrar|cancelar (a inscricao|o cadastro|meu cadastro))",
    r"me (descadastra|descadastre|deixa em paz|deixe em paz|deixem em paz)", r"chega de mensage(m|ns)",
    # Spanish
    r"no (quiero|deseo) (mas|recibir)", r"ya no quiero",
    r"no me (escriba|escriban|escribas|mande|manden|mandes|envie|envien|envies|llame|llamen|llames) mas",
    r"(deja|deje|dejen|para|pare|paren) de (escribirme|mandarme|enviarme|llamarme|escribir|mandar|enviar|molestar)",
    r"(saca|saque|saquen|quita|quite|quiten|borra|borre|borren)(me)? (mi numero|de (la|esta|su|tu) lista)",
    # English
    r"(do not|dont|don t|never) (text|message|contact|call|write)", r"stop (texting|messaging|calling|writing|sending)",
    r"(remove|delete) (me|my number)", r"take me off", r"unsubscribe", r"no more (messages|texts)", r"leave me alone",
    r"opt me out",
)  # fmt: skip
SENTENCE = re.compile(rf"\b(?:{'|'.join(SENTENCES)})\b")


def may_ask_to_stop(text: str) -> bool:
    """Say whether a message of a lead may ask for no more messages.

    >>> may_ask_to_stop("Não quero mais, parar"), may_ask_to_stop("não vou sair de casa")
    (True, False)
    """
    if len(text) > LONGEST:
        return False
    plain = "".join(sign if sign.isalnum() else " " for sign in text)
    return SENTENCE.search(name_key(plain)) is not None
