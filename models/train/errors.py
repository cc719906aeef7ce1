"""The one error of these scripts."""


class InputError(Exception):
    """What is wrong with what was given, naming the file and what to do."""
