"""Drawing of cases: spaces of choices, strategies, regimes, shapes, and the case that is built from them."""
