"""The peers, one a module."""
