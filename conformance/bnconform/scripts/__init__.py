"""Standalone scripts that show a finding without this project."""
