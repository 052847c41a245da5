"""The record as one reads it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Found = Mapping[str, Any]
NOT = "not measured"


def page(record: Found) -> str:
    """The whole page, in Markdown, from what `python -m tests.benchmarks.gpu` wrote as JSON."""
    machine = record["machine"]
    name = machine.get("gpu") or machine["processor"]
    lines = [
        f"# On {name}",
        "",
        f"{record['date']}, {', '.join(f'{key} {value}' for key, value in machine.items() if value)}; "
        f"code {record['commit']}.",
        "",
        "```",
        record["command"],
        "```",
        "",
        "| part | seconds | |",
        "|---|---|---|",
        *(f"| {part} | {one['seconds']:.0f} | {_said(one)} |" for part, one in record["parts"].items()),
    ]
    found = {part: one["found"] for part, one in record["parts"].items()}
    lines += ["", "## Limits", "", "| | measured | limit | |", "|---|---|---|---|"]
    lines += [f"| {what} | {value} | {limit} | {held} |" for what, value, limit, held in limits(found)]
    for part, title in (("updates", "Rainbow"), ("control", "SAC")):
        lines += ["", f"## {title}", "", *_updates(found.get(part, {}))]
    lines += ["", "## Several seeds", "", *_seeds(found)]
    failures = [line for part, one in record["parts"].items() for line in _failures(part, one)]
    if failures:
        lines += ["", "## What failed", "", *failures]
    return "\n".join(lines) + "\n"


def limits(found: Mapping[str, Found]) -> Iterable[tuple[str, str, str, str]]:
    """What the aims of the project say of an H200: what, its value, the limit, and whether it is held."""
    updates, ratios = found.get("updates", {}), found.get("updates", {}).get("ratios", {})
    captured = updates.get("bare captured", {})
    yield _limit("eager / captured update", _median(ratios.get("bare eager / bare captured")), "{:.2f}", least=5)
    yield _limit("captured update, ms back to back", _median(captured.get("ms")), "{:.3f}", most=0.8)
    yield _limit("share of that time in which the GPU is idle", captured.get("kernels_idle"), "{:.1%}", most=0.1)
    yield _limit("sam / bare, captured", _median(ratios.get("sam captured / bare captured")), "{:.3f}", most=1.65)
    seeds = found.get("seeds", {})
    one, ten = rate(seeds, "1 captured"), rate(seeds, "10 captured")
    yield _limit("ten seeds / one, agent steps a second", ten / one if one and ten else None, "{:.2f}", least=3)
    yield _limit(
        "GPU-hours of 100,000 agent steps a seed, ten sharing, without evaluation",
        100_000 / ten / 3600 if ten else None,
        "{:.4f}",
        most=0.05,
    )


def _limit(
    what: str, value: float | None, form: str, *, least: float | None = None, most: float | None = None
) -> tuple[str, str, str, str]:
    limit = f"at least {least:g}" if least is not None else f"at most {most:g}"
    if value is None:
        return what, NOT, limit, ""
    held = value >= least if least is not None else value <= (most or 0)
    return what, form.format(value), limit, "held" if held else "**not held**"


def rate(seeds: Found, what: str) -> float | None:
    """Agent steps a second of all runs together."""
    value = seeds.get(what, {}).get("steps_a_second")
    return None if value is None else float(value)


def _median(quartiles: Found | None) -> float | None:
    return None if quartiles is None else float(quartiles["median"])


def _said(part: Found) -> str:
    return f"{part['outcome']}{': ' + part['why'] if part.get('why') else ''}"


_COLUMNS: Sequence[tuple[str, str, str]] = (
    ("ms back to back", "ms", "{:.3f}"),
    ("ms with the waits of a run", "ms_with_waits", "{:.3f}"),
    ("kernels", "kernels_count", "{:,.0f}"),
    ("ms of kernels", "kernels_seconds", "{:.3f}"),
    ("idle", "kernels_idle", "{:.1%}"),
    ("operations", "operations", "{:,.0f}"),
    ("GPU MB", "gpu_mb", "{:,.0f}"),
    ("acting, ms", "acting_ms", "{:.3f}"),
    ("acting for eight, ms", "evaluating_ms", "{:.3f}"),
)


def _updates(found: Found) -> Iterable[str]:
    subjects = {name: one for name, one in found.items() if isinstance(one, Mapping) and "ms" in one}
    if not subjects:
        yield f"{NOT.capitalize()}."
        return
    yield f"| update of | {' | '.join(heading for heading, _, _ in _COLUMNS)} |"
    yield f"|---|{'---|' * len(_COLUMNS)}"
    for name, one in subjects.items():
        yield f"| {name} | {' | '.join(_cell(one, key, form) for _, key, form in _COLUMNS)} |"
    yield ""
    yield f"Medians of {found.get('rounds', 0)} rounds by turns."
    busy = ", ".join(f"{name} {share:.1%}" for name, share in _busy(subjects))
    if busy:
        yield ""
        yield (
            "Kernel times within replayed graphs may be wrong with CUDA 13.0 (pytorch/kineto, issue 1165). "
            f"The eager rows' kernels over the captured updates' time by the clock: {busy}."
        )
    if not found.get("ratios"):
        return
    yield ""
    yield "Ratios, back to back, quartiles in brackets:"
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, quartiles in found.get("ratios", {}).items():
        reach = f"[{quartiles['lower']:.3f}, {quartiles['upper']:.3f}]"
        yield f"| {name} | {quartiles['median']:.3f} {reach} |"


def _busy(subjects: Mapping[str, Found]) -> Iterable[tuple[str, float]]:
    """By name, the share of a captured update's time that its kernels take, as they took it when they were not."""
    for name, one in subjects.items():
        what, _, mode = name.rpartition(" ")
        seconds = subjects.get(f"{what} eager", {}).get("kernels_seconds")
        if mode == "captured" and seconds is not None:
            yield what, 1e3 * seconds / one["ms"]["median"]


def _cell(one: Found, key: str, form: str) -> str:
    value = one.get(key)
    value = value["median"] if isinstance(value, Mapping) else value
    if value is None:
        return ""
    return form.format(1e3 * value if key == "kernels_seconds" else value)


def _seeds(found: Mapping[str, Found]) -> Iterable[str]:
    yield "| runs | agent steps a second, all together | hours of 100,000 agent steps a seed | GPU MB, all together |"
    yield "|---|---|---|---|"
    for what, one in found.get("seeds", {}).items():
        if "steps_a_second" in one:
            hours = f"{100_000 / one['steps_a_second'] / 3600:.4f}"
            used = "" if one["gpu_mb"] is None else f"{one['gpu_mb']:,.0f}"
            yield f"| {what} | {one['steps_a_second']:,.1f} | {hours} | {used} |"
    yield ""
    rates = found.get("streams", {}).get("updates_a_second")
    if rates:
        said = ", ".join(f"{count}: {value:,.0f}" for count, value in rates.items())
        yield f"Updates a second of agents in one process, each on a stream of its own, by their number: {said}."
        yield ""
    costs = found.get("bench", {}).get("costs")
    if costs:
        updates, playing = costs["rows"][-1]["hours"] or 0, costs["playing_hours"]
        least = "" if costs["whole_game"] else "at least "
        yield (
            f"`plastic bench` of one run by itself: {updates:.4f} hours of updates and {playing:.4f} of playing; the "
            f"evaluation apart: {costs['evaluation_hours']:.4f} hours, {costs['games']} games of "
            f"{least}{costs['game']:,} agent steps, as by random play."
        )


def _failures(part: str, one: Found) -> Iterable[str]:
    if one.get("tail"):
        yield f"* {part}:\n\n```\n{one['tail']}\n```"
    for name, value in one["found"].items():
        if isinstance(value, Mapping) and "failed" in value:
            yield f"* {part}, {name}: {value['failed']}"
