"""pytest runs the notebooks with the shortest profile and on the embedded faces; pyproject.toml has its other settings."""

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """The first cell's set-up starts the notebook's kernel, which inherits the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FKP_PROFILE", "smoke")
        patch.setenv("FKP_DATA", "")
        return (yield)
