"""The first run: from an empty bridge to a card in Kommo, in six steps that can each be done again."""
