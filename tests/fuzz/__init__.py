"""Schemathesis against a real server: `PYTHONPATH=tests python -m fuzz`."""
