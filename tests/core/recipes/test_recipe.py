"""Recipes: what is typed, what TOML says, and that both come back as they went."""

from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plastic.core.errors import UsageError
from plastic.core.recipes import recipe
from plastic.core.recipes.recipe import Chosen, Recipe


@pytest.mark.parametrize(
    ("text", "name", "chosen"),
    [
        ("sam", "sam", {}),
        ("sam:", "sam", {}),
        ("sam:rho=0.05", "sam", {"rho": 0.05}),
        ("sam:rho=0.05,scope=encoder", "sam", {"rho": 0.05, "scope": "encoder"}),
        ("reset:when={every=10,of='frames',start=-5},layers=head", "reset", None),
        ("reset:layers=head,when={every=10,of='frames',start=-5}", "reset", None),
        ("dormant_units:tau=[0.0,0.1]", "dormant_units", {"tau": [0.0, 0.1]}),
        ("my.clip:Clip", "my.clip:Clip", {}),
        ("my.clip:Clip:", "my.clip:Clip", {}),
        ("my.clip:Clip:bound=2", "my.clip:Clip", {"bound": 2}),
        ("my.clip:Clip:path=a:b,bound=2", "my.clip:Clip", {"path": "a:b", "bound": 2}),
        ("note:text=a=b", "note", {"text": "a=b"}),
        ("note:env=ale:Pong", "note", {"env": "ale:Pong"}),
    ],
)
def test_a_plugin_as_typed(text: str, name: str, chosen: dict[str, Any] | None) -> None:
    if chosen is None:
        chosen = {"when": {"every": 10, "of": "frames", "start": -5}, "layers": "head"}
    assert Chosen.parse(text) == Chosen(name, chosen)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rho=0.05", "'rho=0.05': write a plugin as NAME or NAME:OPTION=VALUE,OPTION=VALUE"),
        ("sam:rho,scope=head", "sam: 'rho' is no NAME=VALUE"),
        ("sam:rho=1,scope", "sam: 'scope' is no NAME=VALUE"),
        ("sam:rho=1,rho=2", "sam: rho is given twice; choose one"),
    ],
)
def test_a_plugin_typed_wrongly(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Chosen.parse(text)
    assert str(caught.value) == words


def test_a_choice_says_itself() -> None:
    assert str(Chosen.parse("sam:rho=0.05,scope=encoder")) == "sam rho=0.05 scope=encoder"


FULL = Recipe(
    agent="my.agents:Fast",
    env="ALE/Pong-v5",
    preset="none",
    plugins=(
        Chosen("sam", {"rho": 0.1, "scope": 'he said "head"', "adaptive": False}),
        Chosen("reset", {"when": {"every": 40_000, "of": "updates", "start": -1, "stop": 5}}),
        Chosen("reset", {"when": {"at": 3, "of": "frames"}}),
        Chosen("dormant_units", {"tau": [0.0, 0.025, 0.1], "when": "never"}),
        Chosen("deep", {"table": {"inner": {"when": {"every": 1}}, "list": [1, 2]}, "tables": [{"a": 1}, {"b": [2]}]}),
    ),
    seed=3,
    steps=20_000,
    device="cuda:1",
    settings={
        "rate": 1.4142135623730951e-4,
        "eps": 1e-16,
        "limit": 1e300,
        "epsilon": 0.0,
        "flag": True,
        "most": "none",
    },
)


@pytest.mark.parametrize("original", [Recipe(), FULL, Recipe(preset=None), Recipe(preset="drq", settings={"a": 1})])
def test_toml_and_back(original: Recipe) -> None:
    again = recipe.from_toml(original.toml())
    assert again == original
    for one, other in zip(again.plugins, original.plugins, strict=True):
        assert list(one.options) == list(other.options)  # the order is the user's


_words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_values = st.recursive(
    st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words.filter(bool), inner, max_size=3),
    max_leaves=6,
)
_names = st.text("abcdefgh_-.", min_size=1, max_size=6)


def typed(value: Any) -> Any:
    """1 and 1.0 and True are equal, and not the same."""
    if isinstance(value, dict):
        return {name: typed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value), value


@hypothesis.settings(max_examples=60, deadline=None)
@given(settings=st.dictionaries(_names, _values, max_size=4), options=st.dictionaries(_names, _values, max_size=4))
def test_any_values_survive_toml(settings: dict[str, Any], options: dict[str, Any]) -> None:
    original = Recipe(settings=settings, plugins=(Chosen("a", options), Chosen("b")))
    again = recipe.from_toml(original.toml())
    assert again == original
    assert typed(again.settings) == typed(settings)
    assert typed(again.plugins[0].options) == typed(options)


def test_the_toml_reads_well() -> None:
    reset = Chosen("reset", {"when": {"every": 5, "of": "frames"}}, "critic+actor")
    text = Recipe(env="ALE/Pong-v5", plugins=(reset,), settings={"threads": 1}).toml()
    assert text.splitlines() == [
        'agent = "rainbow"',
        'env = "ALE/Pong-v5"',
        "seed = 0",
        "steps = 100000",
        'device = "cpu"',
        "",
        "[settings]",
        "threads = 1",
        "",
        "[[plugins]]",
        'name = "reset"',
        'when = {every = 5, of = "frames"}',
        'on = "critic+actor"',
    ]
    assert recipe.from_toml(text).plugins == (reset,)
    assert "env" not in Recipe().toml()  # the agent's own


def test_plugins_may_be_given_as_typed() -> None:
    read = recipe.from_toml('plugins = ["sam:rho=0.05", "crelu"]')
    assert read.plugins == (Chosen("sam", {"rho": 0.05}), Chosen("crelu"))


@pytest.mark.parametrize("preset", ["none", "drq"])
def test_no_preset_is_a_preset_of_its_own(preset: str) -> None:
    assert recipe.from_toml(f'preset = "{preset}"').preset == preset
    assert recipe.from_toml("").preset is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agent = ", "the recipe is no TOML: "),
        ("agnet = 'rainbow'", "the recipe has an unknown key 'agnet'; did you mean 'agent'?"),
        ("steps = '100'", "the recipe: steps must be an integer, not '100'"),
        ("steps = 1e5", "the recipe: steps must be an integer, not 100000.0"),
        ("steps = 0", "steps must be an integer of at least 1, not 0"),
        ("seed = -1", "seed must be an integer of at least 0, not -1"),
        ("seed = true", "the recipe: seed must be an integer, not True"),
        ("agent = 1", "the recipe: agent must be a word, not 1"),
        ("preset = 1", "the recipe: preset must be a word, not 1"),
        ("settings = 1", "the recipe: settings must be a table"),
        ("settings = [1]", "the recipe: settings must be a table"),
        ("plugins = 'sam'", "the recipe: plugins must be a list; write each as a table under [[plugins]]"),
        ("plugins = 1", "the recipe: plugins must be a list"),
        ("[plugins.sam]\nrho = 1", "the recipe: plugins must be a list"),
        ("[[plugins]]\nrho = 1", "the recipe: each of [[plugins]] needs a name"),
        ("[[plugins]]\nname = 1", "the recipe: each of [[plugins]] needs a name"),
        ("plugins = [1]", "the recipe: each of [[plugins]] needs a name"),
        ("plugins = ['rho=1']", "'rho=1': write a plugin as NAME"),
    ],
)
def test_what_is_no_recipe(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        recipe.from_toml(text)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arguments", [{"steps": 1e5}, {"steps": True}, {"seed": 1.5}, {"steps": "100"}, {"seed": -1}])
def test_a_recipe_from_python_is_checked_too(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(UsageError, match=f"{name} must be an integer of at least"):
        Recipe(**arguments)


def test_reading_a_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(FULL.toml(), encoding="utf-8")
    assert recipe.read(path) == FULL
    with pytest.raises(UsageError, match=r"cannot read .*missing\.toml"):
        recipe.read(tmp_path / "missing.toml")
    with pytest.raises(UsageError, match="cannot read"):
        recipe.read(tmp_path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot read"):
        recipe.read(path)
    path.write_text("x = 1", encoding="utf-8")
    with pytest.raises(UsageError, match=r"recipe\.toml has an unknown key 'x'"):
        recipe.read(path)
