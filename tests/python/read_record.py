"""Opens a record with pandas and with polars, and compares both with its manifest.

    python read_record.py DIR

Exits with 0 and a line of figures, or with an AssertionError that says what does not fit.
"""

import hashlib
import json
import sys
from pathlib import Path

import pandas
import polars

COLUMNS = {
    "signals": {"time_ns": "int64", "signal": "text", "value": "float64"},
    "events": {"time_ns": "int64", "subject": "text", "part": "text", "kind": "text", "detail": "text", "value": "float64", "cause": "text", "unit": "text", "with": "text"},
}


def kind_pandas(dtype):
    return "text" if pandas.api.types.is_string_dtype(dtype) else str(dtype)


def kind_polars(dtype):
    return {polars.Int64: "int64", polars.Float64: "float64", polars.String: "text"}[dtype]


def names(blocks):
    """Every signal's name, in the order of the dictionary."""
    for block in blocks:
        for i in range(block["count"]):
            for channel in block["channels"]:
                yield f"{block['device'].replace('{}', str(i))}/{channel['name']}@{channel['kind']}"


def main(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    segments = manifest["segments"]
    totals = {}
    for table, columns in COLUMNS.items():
        # As a user would: the folder by pandas, the files by polars.
        files = [folder / table / f"{s['index']:06}.parquet" for s in segments]
        with_pandas = pandas.read_parquet(files if files else folder / table)
        with_polars = polars.read_parquet(files)
        assert {c: kind_pandas(t) for c, t in with_pandas.dtypes.items()} == columns, with_pandas.dtypes
        assert {c: kind_polars(t) for c, t in with_polars.schema.items()} == columns, with_polars.schema
        key = "rows" if table == "signals" else "events"
        want = sum(s[key] for s in segments)
        assert len(with_pandas) == len(with_polars) == want, (len(with_pandas), len(with_polars), want)
        for column in columns:
            ours, theirs = with_pandas[column], with_polars[column].to_pandas()
            assert ((ours == theirs) | (ours.isna() & theirs.isna())).all(), f"{table}.{column} differs"
        for file, segment in zip(files, segments):
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            assert digest == segment[f"{table}_sha256"], f"{file} is not what the manifest says"
        totals[table] = with_pandas

    signals = totals["signals"]
    order = {name: i for i, name in enumerate(names(json.loads((folder / "signals.json").read_text())["blocks"]))}
    assert set(signals["signal"]) <= set(order), "a signal is missing from signals.json"
    at = 0
    for segment in segments:
        part = signals.iloc[at : at + segment["rows"]]
        at += segment["rows"]
        key = list(zip(part["time_ns"], part["signal"].map(order)))
        assert key == sorted(key), f"segment {segment['index']} is not sorted by time and signal"
    print(
        f"{len(segments)} segments, {len(signals)} rows of {signals['signal'].nunique()} signals, "
        f"{len(totals['events'])} events: pandas {pandas.__version__} and polars {polars.__version__} agree"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
