from typing import Any

import mujoco
import numpy as np
import pytest
from attrs import frozen
from numpy.typing import NDArray

from plastic.envs.dm_control import DmControl
from plastic.envs.ray_renderer import RayCamera

SCENE = """
<mujoco>
  <visual><headlight ambient="1 1 1" diffuse="0 0 0" specular="0 0 0"/></visual>
  <asset>
    <texture name="sky" type="skybox" builtin="gradient" rgb1="0 0 1" rgb2="0 0 1" width="100" height="600"/>
    <texture name="tiles" type="2d" builtin="checker" rgb1="0 0 0" rgb2="1 1 1" width="100" height="100"/>
    <material name="tiles" texture="tiles" texuniform="true" texrepeat="1 1"/>
    <material name="green" rgba="0 1 0 1"/>
  </asset>
  <worldbody>
    <camera pos="0 0 10" fovy="90"/>
    {things}
  </worldbody>
</mujoco>
"""
SKY = [0, 0, 255]


@frozen
class Held:
    """What dm_control's physics are to the camera."""

    ptr: Any


@frozen
class Physics:
    model: Held
    data: Held


def drawn(things: str, size: int = 20) -> NDArray[np.uint8]:
    """The scene from above: 20 units across at the height 0."""
    model = mujoco.MjModel.from_xml_string(SCENE.format(things=things))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return RayCamera(Physics(Held(model), Held(data)), 0, size)()


def test_where_nothing_is_there_is_sky() -> None:
    picture = drawn("")
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, np.broadcast_to(SKY, (20, 20, 3)))


def test_x_goes_right_and_y_up() -> None:
    picture = drawn('<geom type="box" pos="5 5 0" size="1 2 0.001" rgba="1 0 0 1"/>')
    red = np.argwhere((picture == [255, 0, 0]).all(-1))
    assert [red.min(0).tolist(), red.max(0).tolist()] == [[3, 14], [6, 15]]  # rows of y 7 to 3, columns of x 4 to 6
    assert len(red) == 8


@pytest.mark.parametrize(
    ("paint", "colour"),
    [
        ('rgba="1 0 0 1"', [255, 0, 0]),
        ('material="green"', [0, 255, 0]),
        ('material="green" rgba="1 0 0 1"', [255, 0, 0]),
        ("", [127, 127, 127]),
        ('rgba="1 0 0 0"', SKY),
        ('rgba="1 0 0 1" group="3"', SKY),
    ],
)
def test_colours(paint: str, colour: list[int]) -> None:
    assert drawn(f'<geom size="3" {paint}/>')[10, 10].tolist() == colour


def test_tiles_lie_as_mujoco_lays_them() -> None:
    """A tile a unit, the first of them in the plane's upper left corner."""
    picture = drawn('<geom type="plane" size="9.5 9.5 1" material="tiles"/>', size=40)[1:-1, 1:-1]  # without the sky
    light = (picture == 255).all(-1)
    row, column = np.indices(light.shape) // 2
    np.testing.assert_array_equal(light, (row + column) % 2 == 1)
    assert (light | (picture == 0).all(-1)).all()


def test_tiles_that_are_smaller_than_pixels_are_grey() -> None:
    picture = drawn('<geom type="plane" size="10 10 1" material="tiles"/>', size=5)
    np.testing.assert_array_equal(picture, np.full((5, 5, 3), 127))


def test_light_falls_from_where_it_comes_from() -> None:
    dark = '<light directional="true" dir="{dir}" diffuse="1 1 1" ambient="0 0 0"/><geom size="6" rgba="1 1 1 1"/>'
    scene = SCENE.replace('ambient="1 1 1"', 'ambient="0 0 0"')

    def lit(direction: str) -> NDArray[np.uint8]:
        model = mujoco.MjModel.from_xml_string(scene.format(things=dark.format(dir=direction)))
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        return RayCamera(Physics(Held(model), Held(data)), 0, 20)()

    above, right = lit("0 0 -1"), lit("-1 0 0")
    assert above[10, 10].min() > 250
    assert right[10, 6].max() == 0
    assert right[10, 14].min() > 50
    np.testing.assert_array_equal(above, above[:, ::-1])


def test_a_spotlight_lights_what_is_in_its_cone() -> None:
    things = (
        '<light pos="0 0 5" dir="0 0 -1" cutoff="30" exponent="0" diffuse="1 1 1" ambient="0 0 0"/>'
        '<geom type="plane" size="10 10 1" rgba="1 1 1 1"/>'
    )
    model = mujoco.MjModel.from_xml_string(SCENE.replace('ambient="1 1 1"', 'ambient="0 0 0"').format(things=things))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    picture = RayCamera(Physics(Held(model), Held(data)), 0, 20)()
    assert picture[10, 10].min() > 240
    assert picture[10, 12].min() > 150  # 2.5 from the middle; the cone ends at 2.9
    assert picture[10, 13].max() == 0


def test_sites_are_drawn_in_front_of_what_is_behind_them() -> None:
    disc = '<geom type="box" size="5 5 0.001" rgba="1 0 0 1"/>'
    site = '<site pos="0 0 {height}" type="{type}" size="{size}" rgba="0 1 0 {alpha}"/>'

    def seen(height: float = 2, alpha: float = 1, kind: str = "sphere", size: str = "2") -> list[int]:
        picture = drawn(disc + site.format(height=height, alpha=alpha, type=kind, size=size))
        assert picture[0, 0].tolist() == SKY
        colour: list[int] = picture[9, 9].tolist()
        return colour

    assert seen() == [0, 255, 0]
    assert seen(height=-2.1) == [255, 0, 0]
    assert seen(height=12) == [255, 0, 0]  # behind the camera
    assert seen(alpha=0) == [255, 0, 0]
    assert seen(alpha=0.5) == [127, 127, 0]
    assert seen(kind="cylinder", size="1 0.1") == [0, 255, 0]


def test_what_a_task_changes_is_seen() -> None:
    env = DmControl(pixels=True, render="ray", grey=False).make("reacher-easy")
    starts = [env.reset(seed=seed)[0][-3:] for seed in (0, 1)]
    red = [(start[0].astype(int) - start[2] > 50) & (start[1] < 130) for start in starts]
    assert all(mask.sum() > 50 for mask in red)  # the target, a disc of some ten pixels
    assert np.abs(np.argwhere(red[0]).mean(0) - np.argwhere(red[1]).mean(0)).max() > 3


@pytest.mark.parametrize("task", ["dog-run", "quadruped-fetch", "swimmer-swimmer6", "manipulator-bring_ball"])
def test_every_kind_of_model_can_be_drawn(task: str) -> None:
    env = DmControl(pixels=True, render="ray", size=24).make(task)
    picture = env.reset(seed=0)[0][-1]
    assert len(np.unique(picture)) > 10
