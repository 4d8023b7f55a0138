"""The metrics of all processes as one page: each sample gets the label `worker`, each metric its description once."""

from __future__ import annotations

from collections.abc import Iterable


def merged(texts: Iterable[tuple[str | None, bytes]]) -> bytes:
    """Return pages in the Prometheus text format as one. Each comes with the label that its samples get, if any."""
    described: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for label, text in texts:
        metric = ""
        for line in text.decode().splitlines():
            if not line.startswith("#"):
                samples[metric].append(_labelled(line, label))
                continue
            _, kind, metric, *_ = line.split(" ", 3)
            samples.setdefault(metric, [])
            kinds = described.setdefault(metric, [])
            if not any(each.startswith(f"# {kind} ") for each in kinds):
                kinds.append(line)
    page = [line for metric, lines in described.items() for line in (*lines, *samples[metric])]
    return "".join(f"{line}\n" for line in page).encode()


def _labelled(sample: str, label: str | None) -> str:
    """Add the label to a line `name value` or `name{labels} value`. A name has no spaces and no braces."""
    if label is None:
        return sample
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{worker="{label}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{worker="{label}"}} {value}'
