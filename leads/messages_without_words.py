"""What stands in the place of words where a message has none: its kind, in the language of the pipeline. Pure."""

from __future__ import annotations

SHOWN = {
    "pt": {
        "image": "imagem",
        "audio": "áudio",
        "video": "vídeo",
        "document": "documento",
        "sticker": "figurinha",
        "location": "localização",
        "contact": "contato",
        "other": "mensagem sem texto",
    },
    "es": {
        "image": "imagen",
        "audio": "audio",
        "video": "vídeo",
        "document": "documento",
        "sticker": "sticker",
        "location": "ubicación",
        "contact": "contacto",
        "other": "mensaje sin texto",
    },
    "en": {
        "image": "image",
        "audio": "audio",
        "video": "video",
        "document": "document",
        "sticker": "sticker",
        "location": "location",
        "contact": "contact",
        "other": "message without text",
    },
}


def shown(kind: str, locale: str) -> str:
    """Return the word for a kind of message; nothing for text."""
    return SHOWN.get(locale[:2].lower(), SHOWN["en"]).get(kind, "")
