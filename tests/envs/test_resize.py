import ale_py
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from plastic.envs.resize import RESIZES, Area, Bilinear

# Sizes of source and target; the first is Atari's.
SHRINKING = [
    ((210, 160), (84, 84)),
    ((250, 160), (84, 84)),
    ((210, 160), (64, 64)),
    ((210, 160), (97, 33)),
    ((96, 96), (84, 84)),
    ((210, 160), (210, 160)),
]
WHOLE_MULTIPLES = [((210, 160), (105, 80)), ((168, 168), (84, 84)), ((210, 160), (70, 40))]
GROWING = [((50, 50), (84, 84)), ((33, 21), (100, 100)), ((100, 40), (84, 84))]


def opencv(image: NDArray[np.uint8], target: tuple[int, int], how: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, target[::-1], interpolation=how), dtype=np.uint8)


def noise(size: tuple[int, int], count: int = 10) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, *size), dtype=np.uint8)


@pytest.mark.parametrize(("source", "target"), SHRINKING + WHOLE_MULTIPLES + GROWING)
def test_bilinear_is_opencvs_to_the_bit(source: tuple[int, int], target: tuple[int, int]) -> None:
    resize = Bilinear(source, target)
    for image in noise(source):
        np.testing.assert_array_equal(resize(image), opencv(image, target, cv2.INTER_LINEAR))


@pytest.mark.parametrize(("source", "target"), SHRINKING)
def test_area_is_opencvs_to_the_bit(source: tuple[int, int], target: tuple[int, int]) -> None:
    resize = Area(source, target)
    for image in noise(source):
        np.testing.assert_array_equal(resize(image), opencv(image, target, cv2.INTER_AREA))


@pytest.mark.parametrize(("source", "target"), WHOLE_MULTIPLES)
def test_area_differs_by_the_rounding_of_halves_where_opencv_adds_whole_blocks(
    source: tuple[int, int], target: tuple[int, int]
) -> None:
    resize = Area(source, target)
    for image in noise(source):
        expected = opencv(image, target, cv2.INTER_AREA).astype(int)
        assert np.abs(resize(image) - expected).max() <= 1


@pytest.mark.parametrize("game", ["pong", "seaquest", "ms_pacman"])
def test_both_are_opencvs_on_screens_of_a_game(game: str) -> None:
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.loadROM(str(ale_py.roms.get_rom_path(game)))
    bilinear, area = (RESIZES[name](ale.getScreenDims(), (84, 84)) for name in ("bilinear", "area"))
    for _ in range(20):
        for _ in range(15):
            ale.act(1)
        screen = ale.getScreenGrayscale()
        np.testing.assert_array_equal(bilinear(screen), opencv(screen, (84, 84), cv2.INTER_LINEAR))
        np.testing.assert_array_equal(area(screen), opencv(screen, (84, 84), cv2.INTER_AREA))


def test_values_by_hand() -> None:
    # Five rows to two: centres at 0.75 and 3.25, areas 0 to 2.5 and 2.5 to 5.
    image = np.array([[0], [100], [200], [40], [80]], np.uint8).repeat(2, axis=1)
    np.testing.assert_array_equal(Bilinear((5, 2), (2, 2))(image), [[75, 75], [50, 50]])
    np.testing.assert_array_equal(Area((5, 2), (2, 2))(image), [[80, 80], [88, 88]])


@pytest.mark.parametrize("resize", [Bilinear((210, 160), (84, 84)), Area((210, 160), (84, 84))])
@pytest.mark.parametrize("grey", [0, 1, 127, 254, 255])
def test_an_even_grey_stays_as_it_is(resize: Bilinear | Area, grey: int) -> None:
    assert (resize(np.full((210, 160), grey, np.uint8)) == grey).all()


@pytest.mark.parametrize("resize", [Bilinear((210, 160), (84, 84)), Area((210, 160), (84, 84))])
def test_a_result_is_not_touched_by_the_next_call(resize: Bilinear | Area) -> None:
    one, other = noise((210, 160), 2)
    first = resize(one)
    kept = first.copy()
    resize(other)
    np.testing.assert_array_equal(first, kept)


def test_area_cannot_enlarge() -> None:
    with pytest.raises(ValueError, match="84 pixels cannot be means of 50"):
        Area((50, 160), (84, 84))
