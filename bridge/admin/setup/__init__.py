"""The first run: from an empty bridge to a card in Kommo, in seven steps that can each be done again."""
