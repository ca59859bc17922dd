"""Every hyperparameter of the course, in one table.

`full` repeats the write-up. `quick` is the same course for two CPU cores: shorter trainings, smaller
pictures and narrower nets, until all five notebooks take a quarter of an hour. `smoke` only proves that
everything runs; `make test` uses it. `improved` recipes are ours.
"""

from dataclasses import replace

from .augment import Augment
from .nets.recipe import Recipe

_WRITEUP_AUGMENT = Augment(rotate=15, shift=0.05, scale=0.05, brightness=0.1, contrast=0.2)
_MIRRORED = replace(_WRITEUP_AUGMENT, flip=0.5)
_STRONG = Augment(rotate=15, shift=0.08, scale=0.1, flip=0.5, brightness=0.15, contrast=0.3)

_nose = Recipe("Part 1, write-up", "NoseNet", (60, 80), epochs=25, batch=1, lr=1e-4, data="imm_nose", channels_last=True)
_face = Recipe("Part 2, write-up", "FaceNet", (180, 240), epochs=25, batch=1, lr=1e-3, data="imm",
               augment=_WRITEUP_AUGMENT, channels_last=True, bf16=True)
_WILD = Augment(rotate=30, shift=0.08, scale=0.15, flip=0.5, brightness=0.2, contrast=0.4, gamma=0.7, noise=0.05, blur=0.25,
                occlude=0.3)
# By this share of the inter-ocular distance labels of 300-W lie to the right of what they mark
# (bench/real_photos/label_offset.py).
_FINE = Augment(rotate=15, shift=0.04, scale=0.08, flip=0.5, brightness=0.1, contrast=0.2, gamma=0.3, coarse=0.2,
                flip_offset=0.009)
_resnet = Recipe("Part 3, write-up", "ResNet", (224, 224), epochs=16, batch=128, lr=1e-3, augment=_WRITEUP_AUGMENT,
                 width=64, channels_last=True, bf16=True)
# Parts 3 and 4 joined: a residual network that answers with heatmaps.
_pyramid = Recipe("Part 5, both joined", "HeatmapResNet", (128, 128), epochs=75, batch=16, lr=1e-3, target="heatmaps",
                  loss="cross_entropy", sigma=1.0, stride=4, l1_weight=0.3, width=128, schedule="cosine", weight_decay=0.05,
                  ema=0.998, augment=_WILD, margin=1.4, box_shift=0.1, channels_last=True, bf16=True)
# The same with a net for phones and browsers, which starts from ImageNet (bench/shipped_files/imagenet.py).
_lite = replace(_pyramid, title="Part 5, small", net="HeatmapLite", size=(160, 160), epochs=40, width=96)
# And one that may take as long as HeatmapResNet: the next size of that family, which also learns to read enlarged small faces.
_lite2 = replace(_lite, title="Part 5, starting from ImageNet", net="HeatmapLite2", epochs=30,
                 augment=replace(_WILD, coarse=0.25))
_lite_fine = replace(_lite, title="Part 5, small net, last stage", epochs=15, lr=4e-4, l1_weight=1.0, augment=_FINE)
_lite2_fine = replace(_lite_fine, title="Part 5, from ImageNet, last stage", net="HeatmapLite2", size=(224, 224))
# The write-up does not say how high its heatmaps are. With 0.008, as a kernel of sum one gives it, three epochs (half
# an hour) on the real photos end with 160 times the loss of an all-zero answer.
_unet = Recipe("Part 4, write-up", "UNet", (224, 224), epochs=20, batch=16, lr=1e-3, target="heatmaps", heatmap_scale=10.0,
               augment=_WRITEUP_AUGMENT, channels_last=True, bf16=True)

_finder = Recipe("Finder", "FinderLite", (256, 256), epochs=12, batch=16, lr=2e-3, data="scenes", target="faces",
                 loss="focal", stride=4, width=32, schedule="cosine", weight_decay=0.05, ema=0.998, channels_last=True,
                 bf16=True, augment=Augment(rotate=12, shift=0.1, scale=0.2, flip=0.5, brightness=0.2, contrast=0.4,
                                            gamma=0.7, noise=0.05, blur=0.1))

FULL = {
    "nose_slow": replace(_nose, title="Part 1, learning rate 1e-5", lr=1e-5),
    "nose": _nose,
    "nose_batch": replace(_nose, title="Part 1, batches of 16", batch=16),
    "nose_improved": replace(_nose, title="Part 1, improved", epochs=250, batch=16, lr=3e-3, target="centred",
                             schedule="cosine", loss="smooth_l1", ema=0.99, augment=_STRONG),
    "face": _face,
    "face_improved": replace(_face, title="Part 2, improved", epochs=80, batch=2, lr=7e-4, target="centred",
                             schedule="cosine", loss="smooth_l1", he_init=True, ema=0.995, augment=_STRONG),
    "resnet": _resnet,
    "resnet_improved": replace(_resnet, title="Part 3, improved", size=(128, 128), epochs=30, batch=32, target="centred",
                               loss="smooth_l1", schedule="cosine", weight_decay=0.05, ema=0.998, augment=_WILD, margin=1.4,
                               box_shift=0.1),
    # Overfits a few faces, to compare losses on.
    "unet_trial": Recipe("Part 4 trial", "UNet", (96, 96), epochs=25, batch=4, lr=1e-3, target="heatmaps", limit=16, width=8,
                         margin=1.4, box_shift=0.1, channels_last=True, bf16=True),
    "unet": _unet,
    "unet_improved": replace(_unet, title="Part 4, improved", size=(96, 96), epochs=12, width=16, loss="cross_entropy",
                             heatmap_scale=None, sigma=2.0, l1_weight=0.3, schedule="cosine", ema=0.998, augment=_WILD,
                             margin=1.4, box_shift=0.1),
    "pyramid": _pyramid,
    # A second stage, started from the first one's weights.
    "pyramid_large": replace(_pyramid, title="Part 5, larger pictures", size=(160, 160), epochs=30, lr=5e-4),
    "lite": _lite,
    "lite_large": replace(_lite, title="Part 5, small net, larger pictures", size=(224, 224), epochs=20, lr=5e-4),
    "lite2": _lite2,
    "lite2_large": replace(_lite2, title="Part 5, from ImageNet, larger pictures", size=(224, 224), epochs=20, lr=5e-4),
    # Last stages with few changes of the pictures: with many, nets did no better on the faces they learned from than on others.
    "lite_fine": _lite_fine,
    "lite2_fine": _lite2_fine,
    "lite2_largest": replace(_lite2_fine, title="Part 5, from ImageNet, largest pictures", size=(256, 256), epochs=8, lr=3e-4),
    # What ships: on smaller pictures again, with less around the face.
    "lite2_faster": replace(_lite2_fine, title="Part 5, from ImageNet, faster", epochs=5, lr=2e-4, margin=1.3),
    # Where faces are in a whole photo, at any size and angle.
    "finder": _finder,
    "finder_fine": replace(_finder, title="Finder, last stage", epochs=4, lr=8e-4),
}

QUICK = {
    **FULL,
    **{name: replace(FULL[name], epochs=10) for name in ("nose_slow", "nose", "nose_batch")},
    "nose_improved": replace(FULL["nose_improved"], epochs=40),
    # Six epochs from PyTorch's own initial weights do not reach the mean face.
    "face": replace(_face, epochs=6, he_init=True),
    "face_improved": replace(FULL["face_improved"], epochs=7, ema=0.95, augment=_WRITEUP_AUGMENT),
    # A quarter as wide, it has time for more epochs, and reads new faces better for it (bench/real_photos/quick_nets.md).
    "resnet": replace(_resnet, size=(96, 96), epochs=30, batch=32, width=16),
    "resnet_improved": replace(FULL["resnet_improved"], size=(96, 96), epochs=80, batch=16, lr=2e-3, width=16, ema=0.99,
                               augment=_MIRRORED),
    # With the write-up's boxes a few minutes are too short to leave the all-zero answer.
    "unet": replace(_unet, size=(64, 64), epochs=6, batch=4, width=8, margin=1.4, box_shift=0.1),
    # With 96 px, 6 epochs take as long and end at an NME of 7.8 %, not 5.6, on the embedded validation faces.
    "unet_improved": replace(FULL["unet_improved"], size=(64, 64), epochs=16, batch=8, lr=2e-3, width=8, sigma=1.5, ema=0.98,
                             augment=_MIRRORED),
    "pyramid": replace(FULL["pyramid"], size=(96, 96), epochs=40, batch=8, lr=2e-3, width=32, sigma=0.7, ema=0.99,
                       augment=_MIRRORED),
    # Scenes differ enough; with random changes on top of that, half as many faces are found after these few steps.
    "finder": replace(FULL["finder"], net="FinderResNet", size=(128, 128), epochs=10, batch=8, lr=5e-3, ema=0.97, limit=600,
                      augment=Augment(flip=0.5)),
}

SMOKE = {name: replace(recipe, epochs=2, limit=24) for name, recipe in QUICK.items()}

PROFILES = {"full": FULL, "quick": QUICK, "smoke": SMOKE}


def recipe(profile: str, name: str) -> Recipe:
    """One recipe of a profile; ValueError names what there is."""
    try:
        return PROFILES[profile][name]
    except KeyError:
        raise ValueError(f"no recipe {name!r} in profile {profile!r}; profiles {sorted(PROFILES)}, "
                         f"recipes {sorted(FULL)}") from None
