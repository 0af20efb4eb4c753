"""The laws, one file a family."""
