"""What make does, each a Python command: `python -m fkp_utils.course`. Here, before all else, the Python that it needs."""

import sys

if sys.version_info < (3, 11):                                # noqa: UP036  older ones come as far as this line
    sys.exit("Python 3.11 or later is needed: python3.12 -m fkp_utils.course ..., or make PYTHON=python3.12 ...")
