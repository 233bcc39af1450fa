"""PURE: the one error of an installation."""


class InstallError(Exception):
    """What is wrong and what to do about it, in one sentence."""
