"""pytest runs the notebooks with the shortest profile and on the embedded faces; pyproject.toml has its other settings."""

import pytest
from nbval.plugin import IPyNbCell

_compare = IPyNbCell.compare_outputs


def _lasting(outputs):
    """Without progress bars: on stderr, or displayed as widgets, where the first run had something to do."""
    return [output for output in outputs if output.output_type != "display_data" and output.get("name") != "stderr"]


# A notebook that was run and saved has bars that its next run does not show, and that the committed one leaves out.
IPyNbCell.compare_outputs = lambda self, test, ref, *more: _compare(self, _lasting(test), _lasting(ref), *more)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """The first cell's set-up starts the notebook's kernel, which inherits the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FKP_PROFILE", "smoke")
        patch.setenv("FKP_DATA", "")
        return (yield)
