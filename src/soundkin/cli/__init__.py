"""The command line: `main.py` holds what all commands share, each other file one command."""
