"""An adapter on top of a base is a model: BASE+ADAPTER, through the whole post-hoc path."""

import json


def test_base_plus_adapter_decomposes_to_the_adapters_rank(pair, study, jaxtrunc, refused, tmp_path):
    adapter = tmp_path / "adapter"
    assert jaxtrunc("export", study, "--rank", 3, "--format", "peft", "--out-path", adapter)[0] == 0
    run = tmp_path / "run"
    code, said = jaxtrunc("decompose", "--base-model", pair.base, "--model", f"{pair.base}+{adapter}", "--out-path", run)
    assert code == 0, said
    spectra = json.loads((run / "decomposition" / "spectra.json").read_text())
    assert spectra and all(entry["rank"] == 3 for entry in spectra.values())
    code, said = jaxtrunc("sweep", run, "--task", pair.task, "--ranks", "0,3", "--operators", "top_k", "--limit", 24)
    assert code == 0, said
    records = {r["k"]: r["metrics"] for r in json.loads((run / "results.json").read_text())["records"] if r["operator"] == "top_k"}
    assert records.keys() == {0, 3}
    refused("decompose", "--base-model", pair.base, "--model", f"{pair.base}+{tmp_path}", "--out-path", tmp_path / "x",
            words=("adapter_config.json",))
