"""The mark on every process of an operation."""

RUN_MARKER = "COMMISSAIRE_OPERATION"
"""Environment variable: `<runtime folder of the server>:<operation id>`."""
