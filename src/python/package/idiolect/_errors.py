"""Exceptions. Their messages are those of the program."""


class Error(Exception):
    """Base of all exceptions of this package."""


class StoreError(Error):
    """The store is missing, damaged, read-only, or cannot be read or written."""


class NotFoundError(Error, LookupError):
    """A user, item, review or split is not in the store. The message names similar ones."""


class DataError(Error, ValueError):
    """An import cannot be read: a file, a column, a row."""


class SettingsError(Error, ValueError):
    """An argument or a setting does not exist, or has a value that it cannot have."""


class ModelError(Error):
    """A model is unknown, not fetched or damaged, or refuses a request, such as one that is too long."""


class PeerIndexError(Error):
    """There is no index over users, or it does not fit the store; :meth:`idiolect.Engine.index` makes it."""


class NoHistoryError(Error):
    """The user has no past text that may be seen, and the method needs one."""
