"""One picture: a person in a setting, photographed; its landmarks, what hides them, and what is known of it."""

from dataclasses import dataclass
from pathlib import Path

import face as faces
import hair
import mesh
import numpy as np
import parts
import people
import photo
import scene
import setting
import skin
import things
from face import Face, Pose
from parts import Solid, Strands
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

_NOT_IN_THE_STUDIO = "hand", "mask", "headphones", "sunglasses", "headscarf", "scarf"
_MIDDLE = (0, -.35, -.38)                       # of a face, in heads from between the eyes: what cameras point at


@dataclass
class Picture:
    """A photo (h, w, 3) uint8, its landmarks (68, 2) and (58, 2) in pixels, which of them are covered, and its facts."""

    photo: np.ndarray
    ibug: np.ndarray
    imm: np.ndarray
    covered: np.ndarray
    imm_covered: np.ndarray
    facts: dict


@dataclass
class _Cast:
    """All that a picture shows of its person, posed."""

    face: Face
    pose: Pose
    points: np.ndarray
    solids: list[Solid]
    strands: list[Strands]
    facts: dict


@dataclass
class _Stage:
    """A wild picture before anything lies around its person, and the generator to go on with."""

    cast: _Cast
    camera: scene.Camera
    target: np.ndarray
    distance: float
    side: float                             # of the face, in pixels
    facts: dict
    rng: np.random.Generator


def _dress(person: people.Person, rng: np.random.Generator, kind: str | None, pose: Pose, studio: bool, without=()) -> _Cast:
    face, looks = faces.make(person, rng, kind), skin.look(person)
    hairdo = hair.hairdo(person, looks)
    # In the studio people wear the same on all their pictures, and nothing that hides the face.
    worn = things.draw(person, np.random.default_rng([person.seed, 20]) if studio else rng, not studio)
    if studio:
        worn = [name for name in worn if name not in _NOT_IN_THE_STUDIO]
    if "things" in without:
        worn = worn[:1]                                                    # clothes
    solids, covers = things.wear(face, worn, np.random.default_rng([person.seed, 21]) if studio else rng)
    body = skin.even(face, looks) if "skin" in without else skin.skin(face, looks, rng)
    solids += [body, *skin.eyes(face, looks, rng), *skin.mouth(face, rng)]
    strands = [hair.brows(face, looks, hairdo, rng), hair.lashes(face, looks, hairdo, rng)]
    if "hair" not in without:
        hair.tint(body, hairdo)
        strands += [*hair.scalp(face, hairdo, rng, covers), *hair.beard(face, looks, hairdo, rng)]
    for part in solids + strands:
        part.points = pose.apply(part.points, face)
    points = next(part.points for part in solids if part.name == "skin")
    facts = {"seed": person.seed, "sex": person.sex, "age": round(person.age, 1), "origin": person.origin,
             "tone": round(looks.tone, 2), "expression": face.kind, **hair.facts(hairdo), **things.facts(worn)}
    return _Cast(face, pose, points, solids, strands, facts)


def _landmarks(cast: _Cast, camera: scene.Camera, fixed: bool = False, annotated: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """iBUG's (68, 3) and IMM's (58, 3) in the scene; `fixed`: each at one place of the mesh, wherever it is seen from."""
    head = cast.pose.apply(np.array([[0, -1.0, 0], [0, -1.0, 1]]) * cast.face.size, cast.face)
    below, above = camera.project(head)
    up = (above - below) / np.linalg.norm(above - below)
    turn = camera.yaw - cast.pose.yaw
    places = faces.places()
    if fixed:
        return places.on_mesh(cast.points)
    return places.in_picture(cast.points, camera.project, up, turn, hair.brow_edge(cast.face.person), annotated)


def _covered(points: np.ndarray, cast: _Cast, camera: scene.Camera) -> np.ndarray:
    """Which of the points (n, 3) something hides from the camera: (n,) bool."""
    hidden = np.zeros(len(points), bool)
    for part in cast.solids:
        if part.name in ("lens", "eye", "mouth"):
            continue
        slack = (.1 if part.name == "skin" else .04) * cast.face.size      # of the outline's own skin a ray grazes some
        tree = mesh.tree(part.points, part.faces)
        for k in np.flatnonzero(~hidden):
            way = points[k] - camera.place
            far = float(np.linalg.norm(way))
            hit = tree.ray_cast(camera.place.tolist(), (way / far).tolist(), far - slack)
            hidden[k] = hit[0] is not None
    pixels, depth = camera.project(points), camera.depth(points)
    for part in cast.strands:
        if part.name in ("brows", "lashes") or not len(part.points):
            continue
        hairs = part.points.reshape(-1, 3)
        far = camera.depth(hairs)
        reach = .03 * cast.face.size * camera.focal / depth.mean()
        near = cKDTree(camera.project(hairs)).query_ball_point(pixels, reach, p=np.inf)
        hidden |= [np.count_nonzero(far[k] < z - .03) > 12 for k, z in zip(near, depth)]
    return hidden


def _passers_by(rng: np.random.Generator, target: np.ndarray, camera: scene.Camera) -> None:
    """People who look away, far enough behind to be out of focus."""
    for _ in range(rng.integers(1, 3)):
        person = people.draw(int(rng.integers(2**31)))
        face, looks = faces.make(person, rng, "neutral"), skin.look(person)
        clothes, _ = things.wear(face, ["T-shirt"], rng)
        distance, across = rng.uniform(16, 45), rng.choice([-1, 1]) * rng.uniform(3, 13)
        place = setting.behind(camera, target, distance, [across], [rng.normal(-.5, .8)])[0]
        turn = Rotation.from_euler("z", np.radians(camera.yaw + 180 + rng.uniform(-70, 70)))
        for part in [*clothes, skin.skin(face, looks, rng)]:
            part.points = turn.apply(part.points) + place
            parts.solid(part)
        for part in hair.scalp(face, hair.hairdo(person, looks), rng):
            part.points = turn.apply(part.points.reshape(-1, 3)).reshape(part.points.shape) + place
            parts.strands(part)


def _frame(cast: _Cast, target, distance: float, turned: tuple[float, float, float], size, centre, side: float) -> scene.Camera:
    """A camera, `turned` by yaw, pitch and roll, that sees the landmarks' width and height with the mean `side`, in pixels."""
    camera = scene.look_at(target, distance, *turned, 1000.0, size, centre)
    pixels = camera.project(_landmarks(cast, camera, annotated=False)[0])
    focal = 1000.0 * side / np.sqrt(np.prod(np.ptp(pixels, 0)))
    return scene.look_at(target, distance, *turned, focal, size, centre)


def _take(cast: _Cast, camera: scene.Camera, samples: int, folder: Path, seed: int) -> np.ndarray:
    for part in cast.solids:
        parts.solid(part)
    for part in cast.strands:
        if len(part.points):                                               # a cap may leave none
            parts.strands(part)
    return scene.trace(camera.size, samples, folder, seed)


def _finish(cast: _Cast, camera: scene.Camera, light: np.ndarray, rng: np.random.Generator, studio: bool,
            fixed: bool = False) -> Picture:
    ibug, imm = _landmarks(cast, camera, fixed)
    pixels, framed = camera.project(ibug), camera.project(_landmarks(cast, camera, annotated=False)[0])
    low, high = np.rint(framed.min(0)).astype(int), np.rint(framed.max(0)).astype(int)
    width, height = camera.size
    on_face = np.zeros((height, width), bool)
    on_face[max(low[1], 0):max(high[1], 1), max(low[0], 0):max(high[0], 1)] = True
    exposed = photo.expose(light, on_face, rng, studio)
    image, done = photo.develop(exposed, rng, float(np.sqrt(np.prod(high - low))), studio)
    covered = _covered(np.concatenate([ibug, imm]), cast, camera)
    return Picture(image, pixels, camera.project(imm), covered[:68], covered[68:], {**cast.facts, **done})


def _stage(seed: int, index: int, side: tuple[float, float], without) -> _Stage:
    rng = np.random.default_rng([seed, 4, index])
    person = people.draw(seed * 100_000 + 1000 + index)
    u = rng.uniform
    turn = float(rng.choice([rng.normal(0, 12), rng.normal(0, 23), rng.choice([-1, 1]) * u(45, 80)], p=[.72, .235, .045]))
    turn = float(np.clip(turn, -80, 80))
    nod, lean = float(np.clip(rng.normal(2, 7.5), -28, 30)), float(np.clip(rng.normal(0, 8.5), -35, 35))
    share = u(.2, .85)
    own = np.clip([-share * turn, rng.normal(0, 6), lean * u(.2, 1)], [-45, -16, -18], [45, 14, 18])
    pose = Pose(*own.tolist())
    cast = _dress(person, rng, None, pose, False, without)
    target = pose.apply(np.array([_MIDDLE]) * cast.face.size, cast.face)[0]
    distance = float(np.exp(u(np.log(5), np.log(28)))) * max(cast.face.size, .8)
    face_size = float(np.exp(u(*np.log(side))))
    size = tuple(int(face_size * u(2.0, 2.45)) for _ in range(2))
    shift = rng.normal(0, .05, 2) if rng.random() > .06 else rng.normal(0, .2, 2)
    centre = ((.5 + shift[0]) * size[0], (.5 + shift[1]) * size[1])
    camera = _frame(cast, target, distance, (turn + pose.yaw, nod + pose.pitch, lean - pose.roll), size, centre, face_size)
    facts = {"turn": round(turn, 1), "nod": round(nod, 1), "lean": round(lean, 1)}
    return _Stage(cast, camera, target, distance, face_size, facts, rng)


def wild(seed: int, index: int, folder: Path, samples: int = 20, side: tuple[float, float] = (95, 145), without=()) -> Picture:
    """A face anywhere, as in iBUG 300-W, `side` pixels large, from to, in a picture 2 to 2.45 times as large.

    without : what an ablation leaves out. "hair": of head and beard; "things": glasses, hats, hands, all but clothes;
    "skin": what makes it uneven, and make-up; "light": lamps, panoramas and what is behind, for one even light;
    "labels": the annotators' outlines, for points of the mesh.
    """
    scene.empty()
    stage = _stage(seed, index, side, without)
    cast, camera, rng = stage.cast, stage.camera, stage.rng
    blur = float(rng.choice([.02, .08, .2], p=[.3, .4, .3]))
    scene.put_camera(camera, stage.distance - .35 * cast.face.size, blur)
    if "light" in without:
        scene.world(rng, None, 1.0)
        kind = "even light"
    else:
        kind = setting.build(rng, stage.target, camera)
        if blur > .1 and rng.random() < .3:
            _passers_by(rng, stage.target, camera)
    light = _take(cast, camera, samples, folder, seed * 1000 + index)
    result = _finish(cast, camera, light, rng, False, "labels" in without)
    result.facts |= stage.facts | {"setting": kind, "millimetres": round(36 * camera.focal / (4.0 * stage.side))}
    return result


def wild_labels(seed: int, index: int, side: tuple[float, float] = (95, 145), without=()) -> tuple[np.ndarray, np.ndarray]:
    """The landmarks (68, 2) of `wild`'s picture, and which are covered (68,), without making it."""
    scene.empty()
    stage = _stage(seed, index, side, without)
    ibug, imm = _landmarks(stage.cast, stage.camera, "labels" in without)
    return stage.camera.project(ibug), _covered(np.concatenate([ibug, imm]), stage.cast, stage.camera)[:68]


def studio(seed: int, number: int, view: int, sex: str, folder: Path, samples: int = 20) -> Picture:
    """View 1 to 6 of a person, 640x480, as in IMM: frontal, happy, turned right and left, a spot light, anything."""
    scene.empty()
    rng, own = np.random.default_rng([seed, 1, number, view]), np.random.default_rng([seed, 2, number])
    person = people.draw(seed * 100_000 + number, sex, adult=True)
    turn = rng.normal({3: 31, 4: -31}.get(view, 0), {3: 5, 4: 5, 5: 8, 6: 17}.get(view, 3))
    kind = {2: str(rng.choice(["smile", "grin"])), 6: None}.get(view, "neutral")
    pose = Pose(float(-.75 * turn), float(rng.normal(0, 3)), float(rng.normal(0, 2.5)))
    cast = _dress(person, rng, kind, pose, True)
    target = pose.apply(np.array([_MIDDLE]) * cast.face.size, cast.face)[0]
    side, distance, size = own.normal(195, 13) * rng.normal(1, .02), 13.0, (640, 480)
    # A head turns about its neck, so that the face leaves the middle.
    centre = (323 - 2.3 * turn + rng.normal(0, 24 if view in (3, 4) else 17), 281 + rng.normal(0, 15))
    camera = _frame(cast, target, distance, (.25 * turn, 3.0, 0), size, centre, side)
    scene.put_camera(camera, distance - .35 * cast.face.size, .05)
    setting.studio(target, camera, spot=view == 5)
    light = _take(cast, camera, samples, folder, seed * 1000 + 10 * number + view)
    result = _finish(cast, camera, light, rng, True)
    result.facts |= {"turn": round(float(turn), 1), "view": view, "setting": "studio"}
    return result
