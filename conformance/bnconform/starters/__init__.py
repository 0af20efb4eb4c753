"""Starter files for `bnconform new`: correct batch norms to be replaced by one's own, one per form."""
