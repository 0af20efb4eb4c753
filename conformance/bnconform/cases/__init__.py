"""What is drawn: spaces of choices, strategies, regimes, shapes, and the case that comes of them."""
