"""Every built-in plugin keeps the common law; beside one another they are in the matrix."""

import pytest

from plastic.core.plugin import Plugin
from plastic.testing import check_plugin
from plastic.testing.known import OURS, built_in

BUILT_IN = {name: entry.cls for name, entry in built_in().all("plugin").items() if entry.package == OURS}


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILT_IN)
def test_it_is_sound(name: str) -> None:
    cls: type[Plugin] = BUILT_IN[name]
    certificate = check_plugin(cls, beside=())
    assert certificate.faults == []
