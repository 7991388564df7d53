#!/usr/bin/env bash
# Forecasts of many public recordings, each by the same flags and nothing set for it: mean absolute errors in units of ridge
# regression's, and how often intervals of 90 % held.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/accuracy-forecast.sh DATA_FOLDER [TWINFLEET]

  DATA_FOLDER  with nab/, pi3b-thermal/, building-rc/, occupancy/, tclab/ and appliances-energy/, as their sources publish them
  TWINFLEET    the command (default: target/release/twinfleet)
TEXT
}
[[ $# -ge 1 && $1 != --help && $1 != -h ]] || { usage; exit 2; }
data=$1 command=${2:-target/release/twinfleet}
[[ -d $data ]] || { echo "tests/accuracy-forecast.sh: $data is no folder" >&2; exit 2; }
[[ -x $command ]] || { echo "tests/accuracy-forecast.sh: $command is not built: cargo build --release" >&2; exit 2; }

python3 - "$data" "$command" <<'PY'
import glob, json, math, os, subprocess, sys

data, command = sys.argv[1:3]
tasks = []


def task(pattern, time, target, horizons, train, *more):
    for file in sorted(glob.glob(os.path.join(data, pattern))):
        rows = sum(1 for _ in open(file)) - 1
        until = int(rows * train) if train < 1 else train
        tasks.append((file, [*time, "--target", target, "--horizons", horizons, "--train-until", str(until), *more]))


# The first third or less is learnt from, and the farthest horizon is far beside it.
task("nab/*/*.csv", ("--time", "timestamp"), "value", "1,12,288", 0.3)
task("pi3b-thermal/*.csv", ("--time", "datetime"), "temp", "10,60,300", 1200, "--inputs", "usage")
task("building-rc/*.csv", ("--time", "#1"), "Ti", "1,6,24,72", 240, "--inputs", "Ph,Ta,Th")
task("occupancy/datatraining.txt", ("--time", "date"), "CO2", "1,60,720", 2000, "--inputs", "Temperature,Humidity,Light")
task("occupancy/datatest.txt", ("--time", "date"), "Temperature", "1,60,360", 1000, "--inputs", "CO2,Humidity,Light")
task("tclab/run_a*.csv", ("--time", "#1"), "#4", "1,10,60", 300, "--inputs", "#2,#3")
task("tclab/run_b*.csv", ("--no-header", "--time", "#1"), "#3", "1,10,60", 200, "--inputs", "#2")
task("appliances-energy/*.csv", ("--time", "date"), "T1", "6,36,144,432", 2016, "--inputs", "T_out,RH_1,Appliances")

models = ["ridge", "blend"]
print("%-40s %-12s" % ("recording", "horizons"), "ridge's error".ljust(30),
      *("%-22s" % f"{m} / ridge" for m in models[1:]), "held, farthest")
ratios = {m: [] for m in models}
held, far, worst = [], [], 1.0
for file, flags in tasks:
    figures = {}
    for model in models:
        ran = subprocess.run([command, "--json", "score", "forecast", "--data", file, *flags, "--model", model],
                             capture_output=True, text=True)
        if ran.returncode:
            sys.exit(f"{file}: {ran.stderr}")
        figures[model] = json.loads(ran.stdout)
    errors = {m: [h["mae"] for h in figures[m]["horizons"]] for m in models}
    spread = max(h["persistence_mae"] for h in figures["ridge"]["horizons"])

    # A series that repeats itself exactly leaves no error to compare.
    def ratio(ours, ridge):
        return ours / ridge if ridge > 1e-3 * spread else float("nan")

    row = []
    for m in models[1:]:
        each = [ratio(a, b) for a, b in zip(errors[m], errors["ridge"])]
        ratios[m] += [r for r in each if math.isfinite(r) and r > 0]
        row.append("%-22s" % " ".join("%.2f" % r for r in each))
    blend = figures["blend"]
    held.append(blend["coverage"])
    far.append(blend["horizons"][-1]["coverage"])
    print("%-40s %-12s" % (os.path.basename(file)[:40], flags[flags.index("--horizons") + 1]),
          " ".join("%.4g" % e for e in errors["ridge"]).ljust(30), *row, "%.3f %.3f" % (held[-1], far[-1]), flush=True)
n = len(tasks)
print(f"\n{n} recordings; intervals of 90 % held {100 * sum(held) / n:.1f} % in the mean ({100 * min(held):.0f}–"
      f"{100 * max(held):.0f}), at the farthest horizon {100 * sum(far) / n:.1f} %")
for m in models[1:]:
    r = ratios[m]
    print("%-6s geometric mean of error / ridge's: %.3f, better in %d of %d" % (
        m, math.exp(sum(map(math.log, r)) / len(r)), sum(x < 1 for x in r), len(r)))
PY
