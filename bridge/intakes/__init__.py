"""Ways in for conversations and bookings: one module a source, and one inbox for all of them."""
