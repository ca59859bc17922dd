"""Where landmarks lie on the mesh: points and curves, placed by the guides of iBUG 300-W and IMM, and what hides them.

The guides: Sagonas et al., "300 faces in-the-wild challenge", ICCV-W 2013, figure 1; Stegmann et al., "FAME", 2003, figure 2.
Places are found once, on the mean of MakeHuman's young women and men, and hold for every face with the same mesh. Left and
right are the person's, x grows to the left; the landmarks' own order goes from the image's left, the person's right.
"""

from functools import cache

import mesh
import numpy as np
from mesh import Part, Surface, at

# Rings of the base mesh on the person's left: lids from the outer corner, lips from the middle to the corner.
_LID_UPPER = (13377, 13354, 13355, 13356, 13357, 13358, 13353, 13352, 13359, 13371, 13369, 13364, 13363, 13365)
_LID_LOWER = (13377, 13376, 13375, 13379, 13366, 13374, 13373, 13372, 13370, 13368, 13367, 13378, 13362, 13361, 13360, 13365)
_LIP_UPPER = (466, 7222, 7219, 7216, 7211, 11953, 7207, 7173, 7172, 7184, 10404, 7185)
_LIP_LOWER = (492, 7241, 7235, 7166, 7165, 7164, 10370, 7183, 7185)
_LIP_UPPER_IN = (467, 7223, 7220, 7217, 7212, 11954, 7208, 7175, 7174, 7187, 10403, 7185)
_LIP_LOWER_IN = (496, 7245, 7239, 7233, 7200, 7201, 10371, 7183, 7185)
_IN_UPPER = (520, 7267, 7268, 7261, 7262, 11962, 7263, 7181, 7180, 7196, 10399, 7194, 7195)
_IN_LOWER = (523, 7264, 7265, 7266, 7206, 7205, 10376, 7195)
_OUTER = {13356: .5, 13366: .3, 13377: .2}                      # the outer corner of the eye, with shares
LIDS = (*_LID_UPPER, *_LID_LOWER)
# Seen from the front, (x, z): the nose, and the upper edge of the left brow from its inner end.
_NOSE = ((0, 7.366), (0, 7.243), (0, 7.127), (0, 7.014))
_BASE = ((.127, 6.924), (.064, 6.91), (0, 6.89))             # wing, nostril, middle
BROW = ((.12, 7.495), (.225, 7.545), (.345, 7.555), (.46, 7.52), (.56, 7.45))
_IMM_NOSE = ((.085, 7.33), (.105, 7.13), (.155, 7.06), (.165, 6.96), (.098, 6.915), (0, 6.885))
# The jaw line of the left, (x, y, z), from the ear to the chin; where it may be seen to end on the far side of a turned head,
# as far back; and where on the front each level leads to, (x, z).
_JAW = ((.69, -.57, 7.305), (.675, -.60, 7.13), (.65, -.62, 6.96), (.622, -.61, 6.795), (.575, -.63, 6.625), (.48, -.78, 6.47),
        (.34, -1.05, 6.352), (.185, -1.23, 6.258), (0, -1.32, 6.235))
_FAR_BACK = (.14, .12, .08, .04, 0, 0, .03, .08, .12)
_NEAR_FORWARD = (0, 0, 0, .0, .05, .10, .12, .12, .12)        # and on the near side of one turned by 30 degrees, as far forward
_JAW_FRONT = ((.45, 7.31), (.46, 7.14), (.45, 6.98), (.44, 6.85), (.40, 6.72), (.33, 6.59), (.23, 6.46), (.12, 6.35), (0, 6.30))
_FINE = 4                                                       # levels a landmark of iBUG's
_IBUG_LEVELS = np.arange(17) * _FINE
_IMM_HALF = np.array([2.3, 3.25, 4.2, 5.2, 6.05, 7.1, 8])       # of IMM's jaw, in levels of iBUG's
_IMM_LEVELS = np.r_[_IMM_HALF, 16 - _IMM_HALF[-2::-1]] * _FINE
_FRONT = (lambda p: p[:, [0, 2]] * [1, -1]), np.array([0, -1.0]), 0      # the mean face from the front: projection, up, turn
_INSIDE = np.array([0, -.72, 6.9])                              # of the head, where the jaw's levels are looked for from
_LEVEL = 20                                                     # places on each level of the jaw
_EVEN = .75                                                     # how evenly annotators spread landmarks from ear to chin
_FORWARD_AT_MOST = .65                                          # of _NEAR_FORWARD: beyond, annotators stay behind it
_SLIDE = (0, 0, 0, .047, .086, .088, .045, .016, 0)             # and, in levels, how much nearer to the chin from ear to chin


@cache
def mean_shape() -> np.ndarray:
    """The base mesh (19158, 3) as the mean young adult of all origins: what places are given on."""
    vertices = mesh.base().copy()
    for sex in ("female", "male"):
        for origin in ("african", "asian", "caucasian"):
            mesh.apply(vertices, f"macrodetails/{origin}-{sex}-young", 1 / 6)
        mesh.apply(vertices, f"macrodetails/universal-{sex}-young-averagemuscle-averageweight", 1 / 2)
    return vertices


class Places:
    """Landmarks as places on the subdivided body: corners (n, 3) and weights (n, 3) into its points."""

    def __init__(self, body: Part):
        self._body = body
        mean = body.points(mean_shape())
        self._mean, self.surface = mean, Surface(body, mean)
        self._index = {vertex: k for k, vertex in enumerate(body.used)}
        mirror = {}
        left = {tuple(np.round(p * [-1, 1, 1], 4)): k for k, p in enumerate(mesh.base()[body.used])}
        for k, p in enumerate(mesh.base()[body.used]):
            mirror[k] = left.get(tuple(np.round(p, 4)))
        self._mirror = mirror
        self.ibug, self.imm = self._ibug(), self._imm()
        self._levels = self._from_edges()
        self._shares = _shares(self._jaw(self._mean, *_FRONT)[:, [0, 2]])

    def _lip(self, ring, inner, part: float, shares, side: int):
        """Places at shares of a lip's edge, `part` of the way from one ring to the next, closed as on the mean face."""
        a, b = (np.array([at(self._mean, np.array(c), np.array(w)) for c, w in self._ring(r, shares, side)])
                for r in (ring, inner))
        return list(zip(*(x.tolist() for x in self.surface.front(((1 - part) * a + part * b)[:, [0, 2]]))))

    def _ring(self, vertices, shares, side: int):
        """Places at shares of a ring's length; side 1 for the person's left, -1 for the right."""
        index = np.array([self._index[v] for v in vertices])
        if side < 0:
            index = np.array([self._mirror[k] for k in index])
        points = self._mean[index]
        length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
        places = []
        for share in shares:
            goal = share * length[-1]
            k = min(int(np.searchsorted(length, goal, "right")) - 1, len(index) - 2)
            part = (goal - length[k]) / (length[k + 1] - length[k])
            places.append(([index[k], index[k + 1], index[k + 1]], [1 - part, part, 0.0]))
        return places

    def _between(self, shares: dict[int, float], side: int):
        """One place between three vertices of the base mesh."""
        index = [self._index[v] for v in shares]
        return [k if side > 0 else self._mirror[k] for k in index], list(shares.values())

    def _front(self, xz, side: int = 1):
        return list(zip(*(a.tolist() for a in self.surface.front(np.array(xz) * [side, 1]))))

    def _ibug(self):
        """Landmarks 17 to 67; the jaw depends on where it is seen from."""
        brow = {s: self._front(BROW, s) for s in (1, -1)}
        base = {s: self._front(_BASE, s) for s in (1, -1)}
        upper = {s: self._ring(_LID_UPPER, (0, .40, .68, .97), s) for s in (1, -1)}
        lower = {s: self._ring(_LID_LOWER, (.38, .67), s) for s in (1, -1)}
        outer = {s: self._between(_OUTER, s) for s in (1, -1)}
        lip = {s: self._lip(_LIP_UPPER, _LIP_UPPER_IN, .3, (0, .21, .55, 1), s) for s in (1, -1)}
        lip_low = {s: self._lip(_LIP_LOWER, _LIP_LOWER_IN, .45, (0, .23, .57), s) for s in (1, -1)}
        inner = {s: self._ring(_IN_UPPER, (0, .26), s) for s in (1, -1)}
        inner_low = {s: self._ring(_IN_LOWER, (0, .26, .87), s) for s in (1, -1)}
        places = [*brow[-1][::-1], *brow[1], *self._front(_NOSE), *base[-1], *base[1][1::-1]]
        places += [outer[-1], upper[-1][1], upper[-1][2], upper[-1][3], lower[-1][1], lower[-1][0]]
        places += [upper[1][3], upper[1][2], upper[1][1], outer[1], lower[1][0], lower[1][1]]
        places += [lip[-1][3], lip[-1][2], lip[-1][1], lip[1][0], lip[1][1], lip[1][2], lip[1][3]]
        places += [lip_low[1][2], lip_low[1][1], lip_low[1][0], lip_low[-1][1], lip_low[-1][2]]
        places += [inner_low[-1][2], inner[-1][1], inner[1][0], inner[1][1], inner_low[1][2]]
        places += [inner_low[1][1], inner_low[1][0], inner_low[-1][1]]
        return tuple(np.array(a) for a in zip(*places))

    def _imm(self):
        """Landmarks 13 to 57 of IMM."""
        places = []
        for s in (1, -1):
            upper, lower = self._ring(_LID_UPPER, (0, .25, .5, .75, 1), s), self._ring(_LID_LOWER, (.25, .5, .75), s)
            places += [self._between(_OUTER, s), *upper[1:], *lower[::-1]]
        for s in (1, -1):
            places += self._front(BROW, s)
        lip = {s: self._lip(_LIP_UPPER, _LIP_UPPER_IN, .3, (0, .21, 1), s) for s in (1, -1)}
        low = {s: self._lip(_LIP_LOWER, _LIP_LOWER_IN, .7, (0, .30), s) for s in (1, -1)}
        places += [lip[-1][2], lip[-1][1], lip[1][0], lip[1][1], lip[1][2], low[1][1], low[1][0], low[-1][1]]
        places += [*self._front(_IMM_NOSE, -1), *self._front(_IMM_NOSE[:-1][::-1], 1)]
        return tuple(np.array(a) for a in zip(*places))

    def _from_edges(self):
        """From the person's right ear over the chin to the left, places from behind the jaw's edge to the front.

        Corners and weights (m, _LEVEL, 3); how far in front of the edge they lie on the mean face (m, _LEVEL).
        """
        fine = np.linspace(0, 8, 8 * _FINE + 1)
        forward = at(self._mean, *self.surface.front(np.array(_JAW_FRONT)))
        edge, forward = (np.stack([np.interp(fine, range(9), p[:, c]) for c in range(3)], 1) for p in (np.array(_JAW), forward))
        back = edge + np.outer(np.interp(fine, range(9), _FAR_BACK), [0, 1, 0])
        t, half = np.linspace(0, 1, _LEVEL)[:, None], []
        for a, b, y in zip(back - _INSIDE, forward - _INSIDE, edge[:, 1]):
            rays = (1 - t) * a / np.linalg.norm(a) + t * b / np.linalg.norm(b)
            rays /= np.linalg.norm(rays, axis=1, keepdims=True)
            places = [self.surface.cast(_INSIDE + 4 * r, -r) for r in (rays * [-1, 1, 1], rays)]
            half.append([(*p, y - at(self._mean, *p)[:, 1]) for p in places])
        sides = [h[0] for h in half] + [h[1] for h in half[-2::-1]]
        return tuple(np.array(a) for a in zip(*sides))

    def _jaw(self, points, project, up: np.ndarray, turn: float, most: float = np.inf) -> np.ndarray:
        """The jaw's outline in space, (m, 3): on each level where the face ends in the picture."""
        return at(points, *self._ends(points, project, up, turn, most))

    def _ends(self, points, project, up: np.ndarray, turn: float, most: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
        """The places of `_jaw`: corners (m, 3) and weights (m, 3)."""
        right = np.array([-up[1], up[0]])                        # where image-right of an upright face is
        corners, weights, ahead = self._levels
        m = len(corners)
        side = np.linspace(-1, 1, m)                             # of the face, -1 image-left
        level = 8 - 8 * abs(side)
        back, ahead_of = (np.interp(level, range(9), distance) for distance in (_FAR_BACK, _NEAR_FORWARD))
        by = min(abs(turn) / 30, 1.5)
        back = back * np.where(level > 5, 1 - by, min(2 * by, 1))                 # the chin is round: its end wanders
        least = np.where(side * np.sign(turn) > -.15, ahead_of * min(by, most) - np.where(level > 5, back, 0), -back)
        space = at(points, corners, weights)                     # (m, _LEVEL, 3)
        pixels = project(space.reshape(-1, 3)).reshape(m, -1, 2)
        way = np.radians(np.sign(side) * np.clip(135 * abs(side), 0, 90))     # outwards: sideways at the ears, down at the chin
        outwards = np.sin(way)[:, None] * right - np.cos(way)[:, None] * up
        reach = (pixels * outwards[:, None]).sum(-1)
        best = np.where(ahead >= np.minimum(least, .9 * ahead.max(1))[:, None] - 1e-3, reach, -np.inf).argmax(1)
        return corners[np.arange(m), best], weights[np.arange(m), best]

    def on_mesh(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks in space, iBUG's (68, 3) and IMM's (58, 3), each at one place of the posed body's points: the jaw's where
        the mean face's outline is from the front, the brows' on the mean brow."""
        jaw = at(points, *self._ends(self._mean, *_FRONT))
        edges = (np.stack([np.interp(wanted, range(len(jaw)), jaw[:, c]) for c in range(3)], 1)
                 for wanted in (_IBUG_LEVELS, _IMM_LEVELS))
        return tuple(np.concatenate([edge, at(points, *places)]) for edge, places in zip(edges, (self.ibug, self.imm)))

    def in_picture(self, points: np.ndarray, project, up: np.ndarray, turn: float, brow=BROW,
                   annotated: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks in space: iBUG's (68, 3) and IMM's (58, 3).

        points : the posed body's points; project : of (n, 3) to pixels (n, 2); up : (2,), where the face's upper end is in
        the picture; turn : degrees, above 0 where the camera stands to the person's left; brow : the upper edge of the
        person's left brow, like `BROW`. The jaw's landmarks lie where the face ends in the picture, and, as annotators have
        it, more evenly there than on the bone; iBUG's beside that by `_slide` (not `annotated`: without, to frame a picture).
        """
        left, other = (at(points, *self.surface.front(np.array(brow) * [side, 1])) for side in (1, -1))
        out = []
        for wanted, places, slid in ((_IBUG_LEVELS, self.ibug, annotated), (_IMM_LEVELS, self.imm, False)):
            jaw = self._jaw(points, project, up, turn, _FORWARD_AT_MOST if slid else np.inf)
            share = _shares(project(jaw))
            if slid:
                wanted = wanted + _FINE * _slide(wanted / _FINE, turn)
            bone, even = (np.interp(wanted, range(len(jaw)), shares) for shares in (share, self._shares))
            goal = (1 - _EVEN) * bone + _EVEN * even
            edge = np.stack([np.interp(goal, share, jaw[:, c]) for c in range(3)], 1)
            out.append(np.concatenate([edge, at(points, *places)]))
        out[0][17:27], out[1][29:39] = np.concatenate([other[::-1], left]), np.concatenate([left, other])
        return out[0], out[1]


def _slide(levels: np.ndarray, turn: float) -> np.ndarray:
    """How far annotators' landmarks lie beside even ones along the jaw, in levels: 0 image-left ear, 8 chin, 16 other ear.

    Nearer to the chin at the jaw's corners; in a turned head the chin's towards the far side, the far ear's nearer to the chin.
    """
    from_chin, side = levels - 8, np.sign(turn)
    far = 8 + side * from_chin                                   # levels from the far ear
    slide = -np.sign(from_chin) * np.interp(8 - abs(from_chin), range(9), _SLIDE)
    slide -= side * .19 * np.tanh(abs(turn) / 5) * np.exp(-.5 * (from_chin / 1.9) ** 2)
    return slide + side * .33 * np.tanh((turn / 12) ** 2) * np.exp(-.5 * (far / .75) ** 2)


def _shares(outline: np.ndarray) -> np.ndarray:
    """Where points of the jaw's outline in the picture (m, 2) lie by length: -1 image-left ear, 0 chin, 1 image-right ear."""
    middle = len(outline) // 2
    length = np.r_[0, np.cumsum(np.maximum(np.linalg.norm(np.diff(outline, axis=0), axis=1), 1e-6))]
    left, right = length[middle], length[-1] - length[middle]
    return np.where(np.arange(len(outline)) < middle, (length - left) / left, (length - left) / right)
