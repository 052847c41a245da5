"""Memory that is not there: PyTorch, NumPy and Python say so in many ways, with no error class in common."""

import re

_SAID = (
    "can't allocate memory",  # PyTorch on a CPU
    "out of memory",  # and on a GPU
    "Storage size calculation overflowed",  # more bytes than 64 bits count
    "Overflow when unpacking long",  # a side of a tensor that 64 bits do not hold
    "array is too big",  # NumPy
)
_AMOUNT = re.compile(r"(?:tried|Tried|Unable) to allocate (?:(\d+) bytes|([\d.]+ [KMGTPE]i?B))")


def out_of_memory(error: Exception) -> str | None:
    """One sentence, if that is what the error says.

    >>> out_of_memory(RuntimeError("can't allocate memory: you tried to allocate 32000000016 bytes."))
    'there is not enough memory, 32.0 GB were asked for at once; make the network, the batch or the replay smaller'
    >>> out_of_memory(ValueError("a wrong value")) is None
    True
    """
    text = str(error)
    if not (isinstance(error, MemoryError) or any(words in text for words in _SAID)):
        return None
    found = _AMOUNT.search(text)
    amount = ""
    if found:
        amount = (
            f", {f'{int(found[1]) / 1e9:,.1f} GB' if found[1] else found[2].replace('. ', ' ')} were asked for at once"
        )
    return f"there is not enough memory{amount}; make the network, the batch or the replay smaller"
