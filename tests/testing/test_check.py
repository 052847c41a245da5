"""A sound plugin is found sound, and each that breaks a law is caught by that law."""

import pytest

from plastic.core.plugin import Plugin
from plastic.testing import check_plugin
from tests.testing import broken


@pytest.mark.parametrize("cls", [broken.Halve, broken.Pull, broken.Mean])
def test_a_sound_one_of_each_kind(cls: type[Plugin]) -> None:
    certificate = check_plugin(cls, on=("plain",), beside=("reset", "the probes"))
    assert certificate.faults == []
    assert certificate.sound
    assert str(certificate) == f"{cls.name} is sound"
    assert certificate.places == {"a plain network": "it acts"}
    assert {meeting.outcome for meeting in certificate.beside} == {"works"}
    assert {law.verdict for law in certificate.laws} <= {"holds", "no part of it"}


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (broken.InertOption, "options: unread makes no difference (tried 2.0, 0.5, 100.0, 0.01)"),
        (broken.Inert, "changes: it is inert: no run with it differs from the run without"),
        (broken.Writes, "looks only: on a plain network edits changes the parameters by itself (0.bias of network)"),
        (broken.Boastful, "changes: it declares that it changes the knobs, and that was never seen"),
        (broken.Hooked, "looks only: on a plain network measure leaves a hook on 0 of the model"),
        (
            broken.GlobalDraw,
            "random streams: on a plain network in update 1 it drew from the global generator of torch",
        ),
        (broken.PythonDraw, "random streams: on a plain network when it looked or edited after update 2 it drew"),
        (broken.BatchWriter, "looks only: on a plain network measure changes the batch that all look at"),
        (broken.GradientLeft, "looks only: on a plain network measure leaves a gradient on 0 of the model"),
        (broken.WritingProbe, "looks only: on a plain network measure changes the parameters by itself (0.weight"),
        (broken.BreaksGraph, "one graph: on a plain network network's loss breaks the graph: "),
        (broken.Amnesiac, "checkpoint: on a plain network after an interruption network/"),
        (broken.Unwritable, "checkpoint: on a plain network "),
        (broken.Waits, "no waiting: on a plain network update 1 of network reads 1 numbers from the device"),
        (broken.Waits, "replayed: on a plain network an update cannot be recorded: aten::_local_scalar_dense waits"),
        (broken.HostTensor, "one device: on a plain network add takes tensors of host and device (broken.py:"),
        (broken.HostCopy, "one device: on a plain network copy_ takes tensors of host and device (broken.py:"),
        (
            broken.Masked,
            "replayed: on a plain network an update cannot be recorded: aten::index waits for the device: ",
        ),
        (broken.Counting, "replayed: on a plain network network/"),
        (broken.Raises, "runs: KeyError: 'nothing here'"),
        (
            broken.NotEdits,
            "runs: on a plain network after update 2 it is refused: not_edits (from tests): edits gave ('head.weight'",
        ),
        (
            broken.Elsewhere,
            "runs: on a plain network after update 2 it is refused: elsewhere (from tests): edits name the parameter",
        ),
        (broken.Nameless, "registration: yours: Nameless has no name"),
    ],
)
def test_each_broken_one_is_caught(cls: type[Plugin], words: str) -> None:
    certificate = check_plugin(cls, on=("plain",), beside=())
    assert not certificate.sound
    assert [fault for fault in certificate.faults if fault.startswith(words)], certificate.faults


def test_an_undeclared_change_of_copies_needs_an_agent_with_copies() -> None:
    (fault,) = check_plugin(broken.Forgetful, on=("states",), beside=()).faults
    assert fault.startswith("changes: it changes the copies (head.0.bias of target of critic after update 2 on SAC)")
