"""The forms of the rules pages: each reads as the sentence it edits, and refuses in words what cannot be."""
