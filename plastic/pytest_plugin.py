"""Fixtures for authors of plugins; pytest finds them by itself where plastic is installed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from plastic.core.plugin import Plugin
    from plastic.core.recipes.registry import Registry
    from plastic.testing.certificate import Certificate
    from plastic.testing.trial import Trial


@pytest.fixture
def check_plugin() -> "Callable[..., Certificate]":
    """`plastic.testing.check_plugin`, which fails the test if the plugin is not sound.

    def test_it_is_sound(check_plugin):
        check_plugin(Clip, beside=["sam"])
    """
    from plastic.testing.check import check_plugin as check

    def checked(plugin: "type[Plugin] | Plugin", **options: Any) -> "Certificate":
        __tracebackhide__ = True
        certificate = check(plugin, **options)
        if not certificate.sound:
            pytest.fail(str(certificate), pytrace=False)
        return certificate

    return checked


@pytest.fixture
def plastic_registry() -> "Registry":
    """A registry of what is built in, whatever else is installed; `add` and `find` as one likes."""
    from plastic.testing.known import built_in

    return built_in()


@pytest.fixture
def plastic_trial() -> "Callable[..., Trial]":
    """Small agents with plugins, their replay filled: `run()` trains them for a few updates.

    def test_it_clips(plastic_trial):
        trial = plastic_trial("rainbow", Clip(bound=1.0)).run()
        assert max(w.abs().max() for w in trial.learners["rainbow"].params.values()) <= 1

    The kinds are `plain`, `rainbow`, `states` and `pixels` (SAC), and `drqv2`.
    """
    from plastic.core.recipes import options
    from plastic.core.recipes.recipe import Chosen
    from plastic.testing.known import built_in
    from plastic.testing.trial import Trial

    def made(kind: str, *plugins: "Plugin", seed: int = 0) -> "Trial":
        chosen = [Chosen(plugin.name, options.values(plugin)) for plugin in plugins]
        return Trial(kind, chosen, seed=seed, registry=built_in(*map(type, plugins))).warm_up()

    return made
