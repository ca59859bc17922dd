"""The one error that means: a file of a dataset is not what its format says."""


class DatasetError(Exception):
    """A dataset file is missing, damaged or wrong; the message names the file and the fault."""
