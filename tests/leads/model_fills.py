"""What language models put into fields, by kind, each with what must come of it."""

from __future__ import annotations

WORDS = """
null | none | nil | nan | n/a | n.a. | na | undefined | unknown | not informed | not provided | not specified |
not available | no name | empty | tbd | não informado | não informada | não informou | não especificado |
não disponível | não sei | desconhecido | desconhecida | nenhum | nenhuma | vazio | sem nome | sem informação |
indefinido | a definir | no informado | no especificado | desconocido | ninguno | ninguna | sin nombre |
sin información | no disponible
"""
_PLAIN = [word.strip() for word in WORDS.replace("\n", " ").split("|")]
_BARE = [
    "-",
    "--",
    "—",
    ".",
    "...",
    "…",
    "?",
    "???",
    "*",
    "_",
    "#",
    "/",
    "\\",
    "()",
    "[]",
    "{}",
    '""',
    "''",
    "   -   ",
    "\n",
    "🤷",
]
NOTHING = [
    *_PLAIN,
    *(word.upper() for word in _PLAIN),
    *(word.capitalize() for word in _PLAIN[:20]),
    *(f'"{word}"' for word in _PLAIN[:20]),
    *(f"<{word}>" for word in _PLAIN[:10]),
    *(f"[{word}]" for word in _PLAIN[:10]),
    *(f"**{word}**" for word in _PLAIN[:10]),
    *(f"  {word}.  " for word in _PLAIN[:10]),
    *(word.replace(" ", "_") for word in _PLAIN if " " in word),
    *(word.replace("ã", "a").replace("í", "i").replace("ç", "c") for word in _PLAIN if not word.isascii()),
    *_BARE,
]
SOMETHING = [
    "Nadir", "Nara", "Ana", "Noel", "Nina", "Nilo", "Naná", "None da Silva", "Null Island", "Nenhuma entrada",
    "sem entrada", "a combinar", "não quero", "não", "sim", "ok", "0", "1", "12", "R$ 0", "Unknown Pleasures",
    "Emptyville",
    "TBD Energia", "nan khai", "Vazio de Souza", "N", "X", "José", "李", "Å", "Na Região Norte",
]  # fmt: skip
NO_NAMES = [
    "+5581999990000", "(81) 99999-0000", "81 99999 0000", "5581999990000", "55.81.99999.0000", "maria@example.com",
    "maria.souza+1@mail.example.com", "12345678", "***", "__", "#", "123", "👍", "🙂🙂", "…", "1234-5678", "  ",
    "1.", "+55", "Cliente", "CLIENTE", "lead", "Usuário", "usuario", "Nome", "name", "string", "Nome do cliente",
    "nome_do_cliente", "Seu nome", "Full Name", "Customer", "{{nome}}", "{{ lead.name }}", "{nome}", "${name}",
    "%name%", "[Nome]", "[Seu Nome Aqui]", "<nome>", "<lead name>", "Olá {{nome}}", "N/A N/A", "null null",
    "None None", "undefined undefined", "não quis informar", "Prefere não informar", "Nombre completo", "“Cliente”",
    "WhatsApp User",
]  # fmt: skip
NAMES = [
    ("Maria Souza", "Maria Souza"), ("Maria\nSouza", "Maria Souza"), ("Maria\r\nSouza", "Maria Souza"),
    ("Maria\tSouza", "Maria Souza"), ("**Maria** Souza", "Maria Souza"), ("`Maria`", "Maria"), ("# Maria", "Maria"),
    ("_Maria_ _Souza_", "Maria Souza"), ("  Maria   Souza ", "Maria Souza"), ("Dr. João", "Dr. João"),
    ("João 2", "João 2"), ("Ana", "Ana"), ("O'Neill", "O'Neill"), ("Jean-Luc", "Jean-Luc"), ("李雷", "李雷"),
    ("Åsa Öberg", "Åsa Öberg"), ("Loja da Esquina 24h", "Loja da Esquina 24h"), ("J.", "J."), ("Maria 🌻", "Maria 🌻"),
    ("Maria null", "Maria"), ("Maria undefined", "Maria"), ("Maria N/A", "Maria"), ("Ana (none)", "Ana"),
    ("Cliente Souza", "Cliente Souza"), ("Loja do Cliente", "Loja do Cliente"), ("None da Silva", "None da Silva"),
    ("Ana {apelido}", "Ana {apelido}"), ("Nome Sobrenome", "Nome Sobrenome"),
]  # fmt: skip
WORSE_NAMES = [
    ("Maria", "Maria Souza", True), ("Souza", "Maria Souza", True), ("M. Souza", "Maria Souza", True),
    ("M S", "Maria Souza", True), ("m. s.", "Maria Souza", True), ("MARIA SOUZA", "Maria Souza", True),
    ("maria souza", "Maria Souza", True), ("maria", "Maria Souza", True), ("Maria C. Souza", "Maria Clara Souza", True),
    ("Maria Souza", "Maria Souza", False), ("Maria Clara Souza", "Maria Souza", False), ("Ana", "Maria Souza", False),
    ("Maria Lima", "Maria Souza", False), ("Maria Souza", "MARIA SOUZA", False), ("Maria Souza", "maria souza", False),
    ("María Souza", "Maria Souza", False), ("Maria", "", False), ("Maria Souza", "Maria", False),
    ("João", "J.", False), ("Mariana", "Maria Souza", False), ("Maria Maria", "Maria Souza", False),
    ("😀 Maria", "Maria Souza", True), ("Maria ⭐", "Maria Souza", True), ("Maria Souza 🌻", "Maria Souza", True),
    ("Dona Maria", "Maria Souza", True), ("Sra. Souza", "Maria Souza", True), ("Ms. M. Souza", "Maria Souza", True),
    ("Maria Souza", "😀 Maria", False), ("Dr. João Lima", "João", False), ("Maria Souza", "Dona Maria", False),
    ("😀 Ana", "Maria Souza", False), ("Dona", "", False), ("Seu", "Maria Souza", False),
]  # fmt: skip
