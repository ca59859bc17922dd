"""What a finder is asked to predict: a heatmap of face centres, and at each centre the face's size and roll.

Objects as points (Zhou, Wang, Krähenbühl, "Objects as points", 2019; for faces Xu et al., "CenterFace", 2019). Six maps,
a quarter of the picture's side: the logit that a face's centre is in this pixel, its offset in x and y from the pixel's
centre, the binary logarithm of its box's side over `UNIT` pixels, and cosine and sine of its roll.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ..datasets.scenes import FACES
from .peaks import STRIDE, UNIT, distinct, peaks

SIGMA = 0.09                         # of a centre's Gaussian, in sides of its box
MIN_SIDE = 8                         # in pixels, of a face that is asked for
MAX_BACKGROUND = 0.5                 # confidence above which nothing is background in a photo not labelled throughout


@dataclass
class Faces:
    """The finder's target; its landmarks are two points a face, (b, 2 * FACES + 1, 2), see `datasets.scenes.SCENE`."""

    size: tuple[int, int]
    min_confidence: float = 0.35     # of a face that `decode` and `errors` count

    @staticmethod
    def _parts(landmarks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Centres and upper middles (b, FACES, 2) of faces, which of them exist, and whether all are labelled (b,)."""
        centre, top = landmarks[:, :-1:2], landmarks[:, 1::2]
        return centre, top, (centre + top).isfinite().all(-1), landmarks[:, -1].isfinite().all(-1)

    def loss(self, output: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
        """The training loss of an output (b, 6, h / 4, w / 4), a scalar.

        The focal loss of CornerNet (Law, Deng, ECCV 2018) for the centres. Where a scene may have people without labels, a
        place that the net takes for one adds nothing. Around each centre smooth L1 for offset, size and roll.
        """
        centre, top, exists, complete = self._parts(landmarks)
        up = (top - centre).where(exists[..., None], 1)
        centre = ((centre + 0.5) / STRIDE - 0.5).where(exists[..., None], -1e4)
        side = 2 * up.norm(dim=-1)
        h, w = output.shape[-2:]
        y, x = torch.arange(h, device=output.device), torch.arange(w, device=output.device)
        dx, dy = x - centre[..., 0, None], y - centre[..., 1, None]                         # (b, FACES, w) and (b, FACES, h)
        sigma = (SIGMA * side / STRIDE).clamp(min=0.7)[..., None]
        near = torch.exp(-dy**2 / (2 * sigma**2))[..., :, None] * torch.exp(-dx**2 / (2 * sigma**2))[..., None, :]
        asked = exists & (side >= MIN_SIDE)
        hit = (dy.abs() <= 0.5)[..., :, None] & (dx.abs() <= 0.5)[..., None, :] & asked[..., None, None]
        weight, owner = near.max(1)                                                         # (b, h, w)
        hit = hit.any(1)
        logit = output[:, 0]
        p = logit.sigmoid()
        unsure = (p > MAX_BACKGROUND) & ~complete[:, None, None] & (weight < 0.1)
        background = (1 - weight) ** 4 * p**2 * F.softplus(logit)
        focal = torch.where(hit, (1 - p) ** 2 * F.softplus(-logit), background.where(~unsure, 0)).sum((1, 2))

        def of_owner(values):                                                               # (b, FACES) -> (b, h, w)
            return values.gather(1, owner.flatten(1)).unflatten(1, (h, w))

        wanted = torch.stack([of_owner(centre[..., 0]) - x, of_owner(centre[..., 1]) - y[:, None],
                              of_owner((side / UNIT).log2()), of_owner(-2 * up[..., 1] / side),
                              of_owner(2 * up[..., 0] / side)], 1)
        weight = weight * (weight > 0.6) * of_owner(asked.to(weight))
        scale = torch.stack([8 / of_owner(side).clamp(min=8)] * 2 + [torch.ones_like(weight)] * 3, 1)   # offsets: in faces
        distance = F.smooth_l1_loss(output[:, 1:] * scale, wanted * scale, beta=0.1, reduction="none").sum(1)
        return (focal / 4 + (weight * distance).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1)).mean()

    @staticmethod
    def faces(output: torch.Tensor, min_confidence: float) -> list[np.ndarray]:
        """All faces of each picture that are so sure, float32 (k, 5), see `peaks.peaks`."""
        return peaks(output.float().cpu().numpy(), min_confidence)

    def decode(self, output: torch.Tensor) -> torch.Tensor:
        """(b, 6, h / 4, w / 4) -> (b, 2 * FACES + 1, 2): the points of the surest faces, NaN where there is none."""
        points = output.new_full((len(output), 2 * FACES + 1, 2), torch.nan, dtype=torch.float32)
        if output.device.type == "meta":                     # shapes only
            return points
        for row, faces in zip(points, self.faces(output.detach(), self.min_confidence)):
            kept = torch.from_numpy(distinct(faces)[:FACES]).to(points)
            angle = torch.deg2rad(kept[:, 3])
            up = torch.stack([angle.sin(), -angle.cos()], 1) * kept[:, 2:3] / 2
            row[:2 * len(kept)] = torch.stack([kept[:, :2], kept[:, :2] + up], 1).flatten(0, 1)
        return points

    def errors(self, output: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
        """Distances in pixels of all faces' points, (k,), from those of the nearest face found.

        At most half a side: as far as a face that is not found. Wrong faces are not in it.
        """
        centre, top, exists, _ = self._parts(landmarks)
        side = 2 * (top - centre).norm(dim=-1)
        found = self.decode(output).to(landmarks)
        there, up, *_ = self._parts(found)
        apart = (centre[:, :, None] - there[:, None]).norm(dim=-1).nan_to_num(torch.inf)           # (b, FACES, FACES)
        nearest = apart.argmin(2)[..., None].expand(-1, -1, 2)
        errors = torch.stack([(points - guess.gather(1, nearest)).norm(dim=-1)
                              for points, guess in ((centre, there), (top, up))], -1)
        return torch.minimum(errors.nan_to_num(torch.inf), side[..., None] / 2)[exists].flatten()
