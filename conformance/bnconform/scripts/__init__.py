"""A finding as a program of its own, without this project."""
