"""What staff see: leads and their cards, the rules, what is stuck, and how to free it."""
