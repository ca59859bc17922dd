"""Where a face is photographed: camera, light and what lies behind."""

import os
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

WORLDS = Path(bpy.utils.resource_path("LOCAL")) / "datafiles/studiolights/world"     # eight CC0 panoramas of Poly Haven's


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: place and axes (3,) in the scene, focal length in pixels, picture of (width, height)."""

    place: np.ndarray
    right: np.ndarray
    up: np.ndarray
    back: np.ndarray
    focal: float
    size: tuple[int, int]
    centre: tuple[float, float]          # pixel that the axis meets

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 3) of the scene to pixels (n, 2); the centre of the first pixel is (0, 0)."""
        p = points - self.place
        x, y, z = p @ self.right, p @ self.up, -(p @ self.back)
        return np.stack([self.centre[0] + self.focal * x / z, self.centre[1] - self.focal * y / z], 1)

    @property
    def yaw(self) -> float:
        """Where the camera stands, seen from what it looks at: degrees from the front to the person's left."""
        return float(np.degrees(np.arctan2(self.back[0], -self.back[1])))

    def depth(self, points: np.ndarray) -> np.ndarray:
        """How far in front of the camera points (n, 3) lie: (n,)."""
        return -((points - self.place) @ self.back)


def look_at(target, distance: float, yaw: float, pitch: float, roll: float, focal: float, size, centre) -> Camera:
    """A camera that sees `target` at pixel `centre`, from (yaw to the person's left, pitch above) in degrees, rolled."""
    a, b, c = np.radians([yaw, pitch, roll])
    back = np.array([np.sin(a) * np.cos(b), -np.cos(a) * np.cos(b), np.sin(b)])
    right = np.array([np.cos(a), np.sin(a), 0])
    up = np.cross(back, right)
    right, up = np.cos(c) * right + np.sin(c) * up, np.cos(c) * up - np.sin(c) * right
    return Camera(np.asarray(target) + distance * back, right, up, back, focal, tuple(size), tuple(centre))


def put_camera(camera: Camera, focus: float, blur: float) -> None:
    """The scene's camera. `focus`: distance of what is sharp; `blur`: the lens's diameter (0: none), in the scene's units."""
    data = bpy.data.cameras.new("camera")
    ob = bpy.data.objects.new("camera", data)
    bpy.context.scene.collection.objects.link(ob)
    axes = np.stack([camera.right, camera.up, camera.back], 1)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, camera.place
    ob.matrix_world = Matrix(matrix.tolist())
    width, height = camera.size
    longer = max(width, height)
    data.sensor_fit = "HORIZONTAL" if width >= height else "VERTICAL"
    data.sensor_width = data.sensor_height = 36
    data.lens = 36 * camera.focal / longer
    data.shift_x = ((width - 1) / 2 - camera.centre[0]) / longer
    data.shift_y = (camera.centre[1] - (height - 1) / 2) / longer
    data.clip_start, data.clip_end = .05, 2000
    if blur:
        data.dof.use_dof = True
        data.dof.focus_distance = focus
        data.dof.aperture_fstop = data.lens / 1000 / blur          # Blender's units are metres, the lens's are millimetres
    scene = bpy.context.scene
    scene.camera = ob
    scene.render.resolution_x, scene.render.resolution_y = width, height


def world(rng: np.random.Generator, place: str | None, strength: float, tint=(1, 1, 1)) -> None:
    """Light from all around: one of Blender's panoramas, or (`place` None) one colour."""
    made = bpy.data.worlds.new("world")
    bpy.context.scene.world = made
    made.use_nodes = True
    nodes, links = made.node_tree.nodes, made.node_tree.links
    background = nodes["Background"]
    background.inputs["Strength"].default_value = strength
    if place is None:
        background.inputs["Color"].default_value = (*tint, 1)
        return
    picture = nodes.new("ShaderNodeTexEnvironment")
    picture.image = bpy.data.images.load(str(WORLDS / f"{place}.exr"))
    mapping, where = nodes.new("ShaderNodeMapping"), nodes.new("ShaderNodeTexCoord")
    mapping.inputs["Rotation"].default_value[2] = rng.uniform(0, 2 * np.pi)
    if rng.random() < .5:
        mapping.inputs["Scale"].default_value[0] = -1
    links.new(where.outputs["Generated"], mapping.inputs["Vector"])
    links.new(mapping.outputs[0], picture.inputs["Vector"])
    colour = nodes.new("ShaderNodeMix")
    colour.data_type, colour.blend_type = "RGBA", "MULTIPLY"
    colour.inputs[0].default_value = 1
    colour.inputs[7].default_value = (*tint, 1)
    links.new(picture.outputs[0], colour.inputs[6])
    links.new(colour.outputs[2], background.inputs["Color"])


def lamp(target, distance: float, yaw: float, pitch: float, watts: float, size: float, colour=(1, 1, 1), kind: str = "AREA"):
    """A lamp that shines at `target` from (yaw, pitch) in degrees."""
    data = bpy.data.lights.new("lamp", kind)
    data.energy, data.color = watts, colour
    if kind == "AREA":
        data.size = size
    elif kind == "SUN":
        data.angle = size
    ob = bpy.data.objects.new("lamp", data)
    bpy.context.scene.collection.objects.link(ob)
    a, b = np.radians([yaw, pitch])
    place = np.asarray(target) + distance * np.array([np.sin(a) * np.cos(b), -np.cos(a) * np.cos(b), np.sin(b)])
    ob.location = place
    ob.rotation_euler = Vector(np.asarray(target) - place).to_track_quat("-Z", "Y").to_euler()
    return ob


def empty() -> None:
    """A scene with nothing in it."""
    bpy.ops.wm.read_factory_settings(use_empty=True)


def trace(size: tuple[int, int], samples: int, folder: Path, seed: int, threads: int = 1) -> np.ndarray:
    """The scene as Cycles sees it: linear light, float32 (h, w, 3)."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    cycles = scene.cycles
    cycles.device, cycles.samples, cycles.seed = "CPU", samples, seed % 2**31
    cycles.use_adaptive_sampling, cycles.adaptive_threshold, cycles.adaptive_min_samples = True, .04, 8
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.denoising_prefilter, cycles.denoising_quality = "FAST", "BALANCED"
    cycles.max_bounces, cycles.transparent_max_bounces = 6, 8
    cycles.diffuse_bounces, cycles.glossy_bounces, cycles.transmission_bounces = 2, 3, 6
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4
    scene.render.threads_mode, scene.render.threads = "FIXED", threads
    scene.render.use_persistent_data = False
    scene.view_settings.view_transform = "Raw"
    settings = scene.render.image_settings
    settings.file_format, settings.color_depth, settings.color_mode = "OPEN_EXR", "32", "RGB"
    file = folder / f".{os.getpid()}.exr"
    scene.render.filepath = str(file)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(file))
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    file.unlink()
    return pixels.reshape(height, width, -1)[::-1, :, :3].copy()
