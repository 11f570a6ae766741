"""How messages leave: the ways out, what is on its way by them, and what became of it."""
