"""Pictures of a MuJoCo model without OpenGL: one ray a pixel, by MuJoCo's own intersection of rays with geoms."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_FAR = 1e10
# Groups 0 to 2 of geoms and sites are shown, as MuJoCo does unless it is told otherwise
_SHOWN = 3
_CELLS = 20  # of a texture, down and across; it divides those of the suite


class RayCamera:
    """The view of one camera of a MuJoCo model, drawn by rays.

    Colours, textures of planes, the gradient of the sky and the lights' ambient and diffuse shares are the
    model's. What is left out, so that pixels differ from those of MuJoCo's renderer: shadows, reflections,
    highlights, stars, tendons, skins, smooth edges; transparent geoms are opaque. It is some ten times as fast
    as a GL library without a GPU.

    Args:
        physics: dm_control's.
        camera: Its number in the model.
        size: Height and width of a picture, pixels.
    """

    def __init__(self, physics: Any, camera: int, size: int) -> None:
        mujoco: Any = import_module("mujoco")
        self._cast: Callable[..., None] = mujoco.mj_multiRay
        self._spot, self._directional = mujoco.mjtLightType.mjLIGHT_SPOT, mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
        self._model: Any = physics.model.ptr
        self._data: Any = physics.data.ptr
        self._camera = camera
        self._size = size
        self._directions = _directions(float(np.radians(self._model.cam_fovy[camera])), size)
        # The dog wears a skin, which rays do not meet, over its bones; the shapes by which it collides stand in
        shown = _SHOWN + 1 if self._model.nskin else _SHOWN
        self._groups = (np.arange(6) < shown).astype(np.uint8).reshape(6, 1)
        self._geom = np.empty((size * size, 1), np.int32)
        self._distance = np.empty((size * size, 1))
        self._normal = np.empty((3 * size * size, 1))
        self._sky = _sky(self._model, mujoco.mjtTexture.mjTEXTURE_SKYBOX)
        self._paper = _paper(self._model, int(mujoco.mjtTextureRole.mjTEXROLE_RGB))
        planes = np.flatnonzero(self._model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)
        materials = self._model.geom_matid[planes]
        self._tiled = [(int(g), int(m)) for g, m in zip(planes, materials, strict=True) if m in self._paper]

    def __call__(self) -> NDArray[np.uint8]:  # [size, size, 3]
        model, data = self._model, self._data
        here: Numbers = data.cam_xpos[self._camera]
        rays = self._directions @ data.cam_xmat[self._camera].reshape(3, 3).T
        count = len(rays)
        shapes = (self._geom, self._distance, self._normal)
        self._cast(model, data, here.reshape(3, 1), rays.reshape(-1, 1), self._groups, True, -1, *shapes, count, _FAR)
        geom, distance = self._geom[:, 0], self._distance[:, 0]
        hit = np.flatnonzero(geom >= 0)
        missed = np.flatnonzero(geom < 0)
        picture = np.empty((count, 3))
        picture[missed] = self._sky(rays[missed, 2])
        distance[missed] = np.inf
        points = here + rays[hit] * distance[hit, np.newaxis]
        paint = self._geom_colours()[geom[hit]]
        for plane, material in self._tiled:
            on = np.flatnonzero(geom[hit] == plane)
            paint[on] *= self._pattern(plane, material, points[on], distance[hit][on])
        picture[hit] = paint * self._light(points, self._normal.reshape(-1, 3)[hit])
        self._draw_sites(picture, here, rays, distance)
        np.clip(picture, 0, 1, out=picture)
        picture *= 255
        return picture.astype(np.uint8).reshape(self._size, self._size, 3)

    def _geom_colours(self) -> Numbers:  # [geoms, 3], as they are now: tasks change them
        model = self._model
        colours = _colours(model, model.geom_rgba, model.geom_matid)[:, :3]
        for material, paper in self._paper.items():
            tiled = [geom for geom, of in self._tiled if of == material]
            plain = np.setdiff1d(np.flatnonzero(model.geom_matid == material), tiled)
            colours[plain] *= paper.mean(axis=(0, 1))
        return colours

    def _pattern(self, plane: int, material: int, points: Numbers, distance: Numbers) -> Numbers:
        """The texture of a plane where rays hit it [points, 3], its mean where a pixel covers half of it."""
        model, paper = self._model, self._paper[material]
        local = (points - self._data.geom_xpos[plane]) @ self._data.geom_xmat[plane].reshape(3, 3)[:, :2]
        size = model.geom_size[plane, :2]
        repeat = model.mat_texrepeat[material] / (1 if model.mat_texuniform[material] else size)
        # MuJoCo lays it from the upper left corner, one repeat on two units
        cells = np.floor((local - size * (-1, 1)) * repeat * (0.5, -0.5) * _CELLS).astype(int) % _CELLS
        colours: Numbers = paper[cells[:, 1], cells[:, 0]]
        coarse = distance * repeat.max() * 2 * np.tan(np.radians(model.cam_fovy[self._camera]) / 2) / self._size > 1
        colours[coarse] = paper.mean(axis=(0, 1))
        return colours

    def _light(self, points: Numbers, normals: Numbers) -> Numbers:
        """[points, 3], the light that falls on points of a surface."""
        model, data = self._model, self._data
        head = model.vis.headlight
        towards_camera = data.cam_xmat[self._camera].reshape(3, 3)[:, 2]
        light = np.zeros((len(points), 3))
        if head.active:
            light += head.ambient + np.maximum(normals @ towards_camera, 0)[:, np.newaxis] * head.diffuse
        for lamp in np.flatnonzero(model.light_active):
            axis = data.light_xdir[lamp]
            strength = np.ones(len(points))
            if model.light_type[lamp] == self._directional:
                falling = normals @ -axis
            else:
                beams = points - data.light_xpos[lamp]
                beams /= np.linalg.norm(beams, axis=1, keepdims=True)
                falling = -np.einsum("ij,ij->i", normals, beams)
                if model.light_type[lamp] == self._spot:
                    cosine = beams @ axis
                    lit = cosine > np.cos(np.radians(model.light_cutoff[lamp]))
                    strength = np.where(lit, np.maximum(cosine, 0) ** model.light_exponent[lamp], 0)
            light += model.light_ambient[lamp]
            light += (np.maximum(falling, 0) * strength)[:, np.newaxis] * model.light_diffuse[lamp]
        return light

    def _draw_sites(self, picture: Numbers, here: Numbers, rays: Numbers, distance: Numbers) -> None:
        """Over what lies behind them; rays do not meet sites, and where they are no spheres, ellipsoids stand in."""
        model, data = self._model, self._data
        colours = _colours(model, model.site_rgba, model.site_matid)
        for site in np.flatnonzero((model.site_group < _SHOWN) & (colours[:, 3] > 0)):
            turn, size = data.site_xmat[site].reshape(3, 3), _radii(model.site_type[site], model.site_size[site])
            start = (here - data.site_xpos[site]) @ turn / size  # where the site is the unit sphere
            along = rays @ turn / size
            squared = np.einsum("ij,ij->i", along, along)
            half = along @ start
            root = half**2 - squared * (start @ start - 1)
            near = np.flatnonzero(root > 0)
            far = -(half[near] + np.sqrt(root[near])) / squared[near]
            seen = (far > 0) & (far < distance[near])
            on, far = near[seen], far[seen]
            points = here + rays[on] * far[:, np.newaxis]
            normals = ((points - data.site_xpos[site]) @ turn / size**2) @ turn.T
            normals /= np.linalg.norm(normals, axis=1, keepdims=True)
            *colour, alpha = colours[site]
            picture[on] += alpha * (np.array(colour) * self._light(points, normals) - picture[on])
            distance[on] = far


def _directions(angle: float, size: int) -> Numbers:
    """[size * size, 3] unit vectors through the pixels' middles, from the top left, the camera looking along -z."""
    ends = np.tan(angle / 2) * ((np.arange(size) + 0.5) / size * 2 - 1)
    across, up = np.meshgrid(ends, -ends)
    directions: Numbers = np.stack([across, up, -np.ones_like(across)], -1).reshape(-1, 3)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions


def _radii(kind: int, size: Numbers) -> Numbers:
    """[3], half the extents of a site that stands upright: MuJoCo gives a sphere one number, a cylinder two."""
    sphere, capsule, cylinder = 2, 3, 5
    if kind == sphere:
        return np.full(3, size[0])
    return np.array([size[0], size[0], size[1]]) if kind in (capsule, cylinder) else np.array(size)


def _colours(model: Any, own: NDArray[np.float32], material: NDArray[np.int32]) -> Numbers:
    """[things, 4]: a thing's own colour where it was given one, else that of its material."""
    given = (own != (0.5, 0.5, 0.5, 1)).any(axis=1) | (material < 0)
    if not model.nmat:
        return own.astype(float)
    colours: Numbers = np.where(given[:, np.newaxis], own, model.mat_rgba[material]).astype(float)
    return colours


def _texture(model: Any, number: int) -> Numbers:  # [height, width, 3], 0 to 1
    shape = (model.tex_height[number], model.tex_width[number], model.tex_nchannel[number])
    start = model.tex_adr[number]
    image: NDArray[np.uint8] = model.tex_data[start : start + int(np.prod(shape))].reshape(shape)
    return image[..., :3] / 255


def _paper(model: Any, role: int) -> dict[int, Numbers]:
    """The textures of materials [_CELLS, _CELLS, 3], by material: coarse, so that specks do not flicker."""
    textures = {material: int(model.mat_texid[material][role]) for material in range(model.nmat)}
    return {material: _coarse(_texture(model, texture)) for material, texture in textures.items() if texture >= 0}


def _coarse(image: Numbers) -> Numbers:
    rows = (np.array_split(row, _CELLS, axis=1) for row in np.array_split(image, _CELLS))
    return np.array([[cell.mean(axis=(0, 1)) for cell in row] for row in rows])


def _sky(model: Any, kind: int) -> Callable[[Numbers], Numbers]:
    """The colour [rays, 3] that rays see which meet nothing, by how far up they go (-1 to 1)."""
    found = np.flatnonzero(model.tex_type == kind)
    if not len(found):
        return lambda up: np.zeros((len(up), 3))
    # Six squares one above the other; the third is the zenith, the fourth the nadir, the first a side.
    # Medians, because stars are strewn over it
    right, _, zenith, nadir, *_ = np.split(_texture(model, int(found[0])), 6)
    side = np.median(right, axis=1)[::-1]
    slope = np.linspace(-1, 1, len(side))
    middle = slice(len(side) * 2 // 5, len(side) * 3 // 5)
    ends = [np.median(face[middle, middle], axis=(0, 1))[np.newaxis] for face in (nadir, zenith)]
    heights = np.concatenate([[-1], slope / np.sqrt(1 + slope**2), [1]])
    colours = np.concatenate([ends[0], side, ends[1]])
    return lambda up: np.stack([np.interp(up, heights, shade) for shade in colours.T], -1)
