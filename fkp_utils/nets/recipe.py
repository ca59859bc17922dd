"""One training's hyperparameters, checked when they are put together."""

from dataclasses import asdict, dataclass, field

from ..augment import Augment
from ..datasets.crop import Crop
from .models import NETS

LOSSES = {**dict.fromkeys(("coordinates", "pixels", "centred"), ("mse", "smooth_l1", "wing")),
          "heatmaps": ("mse", "adaptive_wing", "cross_entropy"), "faces": ("focal",)}
SCHEDULES = ("constant", "cosine")
# Least and greatest value of what a net's size follows from, so that a weights file cannot ask for absurd amounts of memory.
_LIMITS = {"size": (16, 1024), "width": (1, 512), "stride": (1, 32), "margin": (0.1, 10), "box_shift": (-2, 2),
           "epochs": (1, 1_000_000), "batch": (1, 1_000_000), "sigma": (0.3, 100), "ema": (0, 0.999999)}


@dataclass(frozen=True)
class Recipe:
    """How one net is trained. `size` is (height, width) in pixels.

    ValueError for a net, target, loss or schedule that does not exist, a loss that its target does not have, and sizes that
    no net of ours has.
    """

    title: str
    net: str                             # a key of nets.models.NETS
    size: tuple[int, int]
    epochs: int
    batch: int
    lr: float
    data: str = "ibug"                   # name of a registered dataset
    loss: str = "mse"                    # one that LOSSES has for the target
    target: str = "coordinates"          # coordinates (shares), pixels, centred (offsets from the mean shape), heatmaps, faces
    schedule: str = "constant"           # constant, cosine (with a short warm-up)
    weight_decay: float = 0.01           # AdamW's default
    he_init: bool = False                # initial weights that keep the signal's size through ReLUs
    ema: float = 0.0                     # decay of the weights' exponential moving average; 0 keeps none
    augment: Augment = field(default_factory=Augment)
    channels_last: bool = False          # memory layout; faster for all nets here
    bf16: bool = False                   # bfloat16 autocast where the processor has units for it
    margin: float = 1.0                  # iBUG: the face box is widened this many times,
    box_shift: float = 0.0               # and moved down by this share of its height
    width: int = 32                      # UNet, ResNet: features of the first layer (ResNet-18 has 64); others: of the pyramid
    limit: int | None = None             # train on the first so many faces only
    heatmap_scale: float | None = None   # heatmaps: the peak's height; None as a kernel of sum one gives it
    sigma: float = 5.0                   # heatmaps: width of the Gaussian in pixels of the heatmap
    stride: int = 1                      # heatmaps: how many times smaller than the picture
    l1_weight: float = 0.0               # heatmaps, cross_entropy: weight of the decoded points' distance in the loss
    seed: int = 0

    def __post_init__(self):
        _one_of("net", self.net, NETS)
        _one_of("target", self.target, LOSSES)
        _one_of(f"loss of {self.target}", self.loss, LOSSES[self.target])
        _one_of("schedule", self.schedule, SCHEDULES)
        for name, (least, most) in _LIMITS.items():
            value = getattr(self, name)
            if not all(least <= number <= most for number in (value if isinstance(value, tuple) else (value,))):
                raise ValueError(f"{name} {value} is out of bounds ({least} to {most})")
        if self.l1_weight and self.loss != "cross_entropy":
            raise ValueError(f"l1_weight needs the loss cross_entropy, not {self.loss}")
        if self.loss == "adaptive_wing" and self.heatmap_scale != 1:
            raise ValueError(f"adaptive_wing needs heatmaps of peak 1 (heatmap_scale=1.0), not {self.heatmap_scale}")

    @property
    def crop(self) -> Crop:
        """How faces are cut out of photos with face boxes for this recipe."""
        return Crop(self.margin, self.box_shift, self.size[0])

    @property
    def percent_of_box(self) -> float:
        """How much of a face box's longer side a pixel of the net's picture is, in percent: a unit for every crop."""
        return 100 * self.margin / self.size[1]

    def summary(self) -> dict:
        """Hyperparameters as the page shows them."""
        rows = {"Epochs": self.epochs, "Optimizer": f"AdamW(lr={self.lr:g})", "Loss": self.loss, "Batch": self.batch,
                "Picture": f"{self.size[0]}x{self.size[1]}", "Target": self.target, "Schedule": self.schedule}
        changed = {k: v for k, v in asdict(self.augment).items() if v}
        rows["Augmentation"] = ", ".join(f"{k} {v:g}" for k, v in changed.items()) or "none"
        if self.target == "heatmaps":
            height = "of a kernel of sum one" if self.heatmap_scale is None else f"{self.heatmap_scale:g}"
            rows["Heatmaps"] = f"sigma {self.sigma:g}, peak {height}"
        if self.net in WIDTH:
            rows[WIDTH[self.net]] = f"{self.width} features"
        if self.margin != 1:
            rows["Box"] = f"{self.margin:g} times as wide, {self.box_shift:g} heights lower"
        if self.he_init:
            rows["Initial weights"] = "He"
        if self.ema:
            rows["Weight average"] = f"{self.ema:g}"
        return rows


# What `width` is of, where a net has one.
WIDTH = {"UNet": "First layer", "ResNet": "First layer", "HeatmapResNet": "Feature pyramid", "HeatmapLite": "Feature pyramid",
         "HeatmapLite2": "Feature pyramid", "FinderResNet": "Feature pyramid", "FinderLite": "First layer"}


def _one_of(what: str, value: str, known) -> None:
    if value not in known:
        raise ValueError(f"no {what} {value!r}; there are {', '.join(known)}")
