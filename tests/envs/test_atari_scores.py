import pytest

from plastic.envs.atari_scores import ATARI_100K, REFERENCES, human_normalised


def test_atari_100k_has_26_games_with_scores() -> None:
    assert len(ATARI_100K) == len(set(ATARI_100K)) == 26
    assert set(REFERENCES) - set(ATARI_100K) == {"Enduro", "SpaceInvaders"}
    assert set(ATARI_100K) <= set(REFERENCES)


def test_the_two_games_that_a_released_list_forgot_are_there() -> None:
    assert {"ChopperCommand", "PrivateEye"} <= set(ATARI_100K)


@pytest.mark.parametrize("game", REFERENCES)
def test_a_random_player_has_0_and_a_human_1(game: str) -> None:
    reference = REFERENCES[game]
    assert human_normalised(game, reference.random) == 0
    assert human_normalised(game, reference.human) == 1


def test_values_by_hand() -> None:
    assert human_normalised("Pong", 21.0) == pytest.approx(41.7 / 35.3)
    assert human_normalised("Breakout", 1.7 + 2 * 28.8) == pytest.approx(2.0)
    assert human_normalised("PrivateEye", 0.0) == pytest.approx(-24.9 / 69546.4)


def test_a_game_without_scores_has_no_scale() -> None:
    assert human_normalised("Tetris", 100.0) is None
    assert human_normalised("pong", 100.0) is None
