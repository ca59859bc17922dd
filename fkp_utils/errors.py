"""The errors that the project raises itself."""


class DatasetError(Exception):
    """A dataset file is missing, damaged or wrong; the message names the file and the fault."""


class BusyError(RuntimeError):
    """Another run is making the same thing; the message names its process."""
