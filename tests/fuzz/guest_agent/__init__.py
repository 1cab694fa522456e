"""The guest agent's parsers and dialects are sent whatever they must live through: `python -m fuzz.guest_agent`.

A target takes bytes, works on a guest of a temporary folder, and raises what it finds. Two engines drive each of them:
Hypothesis, which knows how messages are built, and atheris, which looks for inputs that reach code not reached before.
"""
