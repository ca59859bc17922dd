"""What pictures are put together from: solids and strands, as arrays, and how they become Blender's objects."""

from dataclasses import dataclass

import bpy
import numpy as np


@dataclass
class Solid:
    """A surface: points (n, 3), faces as index lists (an (m, 4) array, or lists), its material."""

    name: str
    points: np.ndarray
    faces: object
    material: bpy.types.Material
    textures: np.ndarray | None = None          # (corners, 2)
    attributes: dict[str, np.ndarray] | None = None      # by name: (n,) or (n, 3), for the material to read
    smooth: bool = True
    subdivide: int = 0


@dataclass
class Strands:
    """Hairs: points (n, k, 3) from root to tip, radii (n, k), their material."""

    name: str
    points: np.ndarray
    radii: np.ndarray
    material: bpy.types.Material


def solid(part: Solid) -> bpy.types.Object:
    """The solid in the scene."""
    mesh = bpy.data.meshes.new(part.name)
    mesh.from_pydata(part.points.tolist(), [], [list(map(int, f)) for f in part.faces])
    if part.textures is not None:
        mesh.uv_layers.new().data.foreach_set("uv", np.asarray(part.textures, np.float32).ravel())
    for name, values in (part.attributes or {}).items():
        values = np.asarray(values, np.float32)
        kind, key = ("FLOAT", "value") if values.ndim == 1 else ("FLOAT_VECTOR", "vector")
        mesh.attributes.new(name, kind, "POINT").data.foreach_set(key, values.ravel())
    mesh.polygons.foreach_set("use_smooth", np.full(len(mesh.polygons), part.smooth))
    mesh.materials.append(part.material)
    ob = bpy.data.objects.new(part.name, mesh)
    bpy.context.scene.collection.objects.link(ob)
    if part.subdivide:
        modifier = ob.modifiers.new("subdivide", "SUBSURF")
        modifier.levels = modifier.render_levels = part.subdivide
    return ob


def strands(part: Strands) -> bpy.types.Object:
    """The strands in the scene, as Cycles' curves."""
    n, k, _ = part.points.shape
    curves = bpy.data.hair_curves.new(part.name)
    curves.add_curves([k] * n)
    curves.points.foreach_set("position", np.asarray(part.points, np.float32).ravel())
    curves.points.foreach_set("radius", np.asarray(part.radii, np.float32).ravel())
    curves.materials.append(part.material)
    ob = bpy.data.objects.new(part.name, curves)
    bpy.context.scene.collection.objects.link(ob)
    return ob


def plain(name: str, colour, roughness: float = .5, **inputs) -> bpy.types.Material:
    """A material of one colour (linear); further inputs of Blender's principled shader by name, `_` for blanks."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1)
    shader.inputs["Roughness"].default_value = roughness
    for key, value in inputs.items():
        shader.inputs[key.replace("_", " ")].default_value = value
    return material


def hair(name: str, colour, roughness: float = .35, uneven: float = .3) -> bpy.types.Material:
    """Blender's hair shader with a colour (linear), which differs from hair to hair by a share of `uneven`."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    out, shader = nodes.new("ShaderNodeOutputMaterial"), nodes.new("ShaderNodeBsdfHairPrincipled")
    shader.parametrization = "COLOR"
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Radial Roughness"].default_value = min(1, roughness + .15)
    mix = nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"
    links.new(nodes.new("ShaderNodeHairInfo").outputs["Random"], mix.inputs[0])
    for socket, factor in ((6, 1 - uneven), (7, 1 + uneven)):
        mix.inputs[socket].default_value = (*(min(.95, c * factor) for c in colour), 1)
    links.new(mix.outputs[2], shader.inputs["Color"])
    links.new(shader.outputs[0], out.inputs[0])
    return material
