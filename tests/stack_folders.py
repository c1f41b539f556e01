"""A run of lmms-eval, written again as other stacks write theirs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from benchc_metrics.runs.layouts import split_log_name

DATE = "2026-11-26T17-00-45.061184"


def as_lm_eval(lmms: Path, folder: Path) -> Path:
    """Write a run of lmms-eval under the names and with the facts of lm-evaluation-harness."""
    folder.mkdir()
    (results,) = lmms.glob("*_results.json")
    written = json.loads(results.read_text(encoding="utf-8"))
    written.pop("lmms_eval_version", None)
    written |= {"lm_eval_version": "0.4.13", "date": 1795712417.9, "model_name": "41pjso2k"}
    (folder / f"results_{DATE}.json").write_text(json.dumps(written), encoding="utf-8")
    for log in lmms.glob("*_samples_*.jsonl"):
        task = split_log_name(log).task
        (folder / f"samples_{task}_{DATE}.jsonl").write_bytes(log.read_bytes())
    return folder


def as_inspect(lmms: Path, file: Path, model: str = "openai/gpt", epochs: int = 1, number: int = 0) -> Path:
    """Write the records of one task of a run as a log of inspect_ai."""
    log = sorted(lmms.glob("*_samples_*.jsonl"))[number]
    records = [json.loads(line)["benchc"] for line in log.read_text(encoding="utf-8").splitlines()]
    asked = {"name": "set", "samples": len(records), "sample_ids": [record["sample"] for record in records]}
    described = {
        "eval_id": "x",
        "created": "2026-11-26T17:07:15+00:00",
        "task": "benchc/benchc",
        "model": model,
        "dataset": asked,
        "packages": {"inspect_ai": "0.3.285"},
        "metadata": {"dataset": records[0]["dataset"], "engine": records[0]["engine"], "corruption": "fog"},
    }
    header = {"version": 2, "status": "success", "eval": described}
    samples = [
        {"id": record["sample"], "epoch": epoch, "metadata": {"benchc": record}}
        for epoch in range(1, epochs + 1)
        for record in records
    ]
    if file.suffix == ".json":
        file.write_text(json.dumps({**header, "samples": samples}), encoding="utf-8")
        return file
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_journal/start.json", json.dumps(header))
        for sample in samples:
            archive.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample))
        archive.writestr("header.json", json.dumps(header))
    return file
