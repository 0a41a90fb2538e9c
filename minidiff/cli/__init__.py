"""The commands of `python -m minidiff`, one module each."""
