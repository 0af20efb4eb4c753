"""What a batch norm must do: requirements, generators, the judge, and a pytest plugin."""

__version__ = "0.1.0"
