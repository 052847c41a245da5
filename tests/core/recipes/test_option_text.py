"""Options as they are typed: which text sets what, and which sets nothing."""

from typing import Any

import pytest

from plastic.core.errors import UsageError
from plastic.core.recipes.option_text import parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("rho=0.05", {"rho": 0.05}),
        ("rho=0.05,scope=encoder", {"rho": 0.05, "scope": "encoder"}),
        (" rho = 0.05 , scope = encoder ", {"rho": 0.05, "scope": "encoder"}),
        ("rho=1e-2,steps=1_000,flag=true", {"rho": 0.01, "steps": 1000, "flag": True}),
        ('when={every = 10, of = "frames"},rho=1', {"when": {"every": 10, "of": "frames"}, "rho": 1}),
        ("tau=[0.1, 0.2],when={at=3,of='frames'}", {"tau": [0.1, 0.2], "when": {"at": 3, "of": "frames"}}),
        ("a={b={c=1,d=[2,3]},e=4},f=5", {"a": {"b": {"c": 1, "d": [2, 3]}, "e": 4}, "f": 5}),
        ('word="a,b",other=1', {"word": "a,b", "other": 1}),
        ('word="a{b",other=1', {"word": "a{b", "other": 1}),
        ("layers=head.*.2+encoder", {"layers": "head.*.2+encoder"}),
        ("layers=[ab]*.1,rho=1", {"layers": "[ab]*.1", "rho": 1}),
        ("note=a=b", {"note": "a=b"}),
        ("env=ale:Pong", {"env": "ale:Pong"}),
        ("rho=", {"rho": ""}),
        ("rho=1,", {"rho": 1}),
    ],
)
def test_text_is_parsed(text: str, expected: dict[str, Any]) -> None:
    parsed = parse(text, "sam")
    assert parsed == expected
    assert [type(value) for value in parsed.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rho", "sam: 'rho' is no NAME=VALUE"),
        ("rho=1,scope", "sam: 'scope' is no NAME=VALUE"),
        ("=1", "sam: '=1' is no NAME=VALUE"),
        ("rho=1,rho=2", "sam: rho is given twice; choose one"),
    ],
)
def test_text_that_sets_nothing_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, "sam")
    assert str(caught.value) == words
