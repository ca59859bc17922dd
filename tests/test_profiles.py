"""The write-up's hyperparameters are where they should be."""

import pytest

from fkp_utils.profiles import FULL, PROFILES, recipe


@pytest.mark.parametrize("name, lr, epochs, batch", [
    ("nose_slow", 1e-5, 25, 1), ("nose", 1e-4, 25, 1), ("face", 1e-3, 25, 1), ("resnet", 1e-3, 16, 128),
    ("unet", 1e-3, 20, 16)])
def test_full_is_the_writeup(name, lr, epochs, batch):
    chosen = recipe("full", name)
    assert (chosen.lr, chosen.epochs, chosen.batch, chosen.loss, chosen.schedule) == (lr, epochs, batch, "mse", "constant")


def test_every_profile_has_every_recipe():
    assert all(set(table) == set(FULL) for table in PROFILES.values())


def test_unknown_names_are_answered_with_the_known():
    with pytest.raises(ValueError, match="face_improved"):
        recipe("quick", "nosse")
    with pytest.raises(ValueError, match="smoke"):
        recipe("fast", "nose")


def test_summary_names_what_a_reader_needs():
    assert recipe("full", "nose").summary()["Optimizer"] == "AdamW(lr=0.0001)"
    assert recipe("full", "nose").summary()["Augmentation"] == "none"
    assert recipe("full", "resnet").summary()["First layer"] == "64 features"
    assert recipe("full", "pyramid").summary()["Feature pyramid"] == "128 features"
