"""Reads a text with prometheus_client's parser of OpenMetrics, which is strict, and looks at what is in it."""

import re
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

# What labels are called, and what their values look like. Never anything of a person, a chat or a run.
LABELS = {
    "condition": r"[a-z_]+",
    "outcome": r"[a-z_]+",
    "verdict": r"[a-z_]+",
    "result": r"[a-z_]+",
    "how": r"[a-z_]+",
    "kind": r"[a-z_]+",
    "why": r"[a-z_]+",
    "method": r"[a-zA-Z]+",
    "version": r"[0-9.]+",
    "le": r"\+Inf|[0-9.e+-]+",
}
# What must be there, with its kind.
WANTED = {
    "telexd_polls": "counter",
    "telexd_updates_received": "counter",
    "telexd_prompts": "counter",
    "telexd_turns": "counter",
    "telexd_turn_duration_seconds": "histogram",
    "telexd_first_output_seconds": "histogram",
    "telexd_outbox_age_seconds": "histogram",
    "telexd_telegram_calls": "counter",
    "telexd_retries": "counter",
    "telexd_throttles": "counter",
    "telexd_throttle_seconds": "counter",
    "telexd_starts": "counter",
    "telexd_agents_memory_bytes": "gauge",
    "telexd_agents_cpu_seconds": "counter",
    "telexd_memory_bytes": "gauge",
    "telexd_database_write_seconds": "histogram",
    "telexd_ready": "gauge",
    "telexd_condition_ok": "gauge",
    "telexd_build": "info",
}


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        families = list(text_string_to_metric_families(file.read()))
    kinds = {family.name: family.type for family in families}
    wrong = [f"{name} is {kinds.get(name)}, not {kind}" for name, kind in WANTED.items() if kinds.get(name) != kind]
    samples = 0
    for family in families:
        if not family.name.startswith("telexd_"):
            wrong.append(f"{family.name} is not ours")
        if not family.documentation:
            wrong.append(f"{family.name} is not described")
        for sample in family.samples:
            samples += 1
            for label, value in sample.labels.items():
                if not re.fullmatch(LABELS.get(label, r"(?!)"), value):
                    wrong.append(f"{sample.name}: label {label}={value!r}")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"ok prometheus_client reads {len(families)} families with {samples} samples")


main(sys.argv[1])
