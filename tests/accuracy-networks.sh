#!/usr/bin/env bash
# Networks on held-out data, beside ridge regression and the default: each is trained anew on the first part of each of many
# public recordings, all with the same flags and nothing set for it, and judged on the rest.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/accuracy-networks.sh DATA_FOLDER [TWINFLEET]

  DATA_FOLDER  with appliances-energy/, building-rc/, nab/, occupancy/, pi3b-thermal/, tclab/ and tep-simulated/
  TWINFLEET    the command (default: target/release/twinfleet)

  LEARNT=0.6   share of each recording that is learnt from
  ORIGINS=500  forecasts that each model is judged by, spread over the rest
  ONLY=TEXT    only recordings whose path holds it
  MODELS=A,B   only these forecasters
TEXT
}
[[ $# -ge 1 && $1 != --help && $1 != -h ]] || { usage; exit 2; }
data=$1 command=${2:-target/release/twinfleet}
[[ -d $data ]] || { echo "tests/accuracy-networks.sh: $data is no folder" >&2; exit 2; }
[[ -x $command ]] || { echo "tests/accuracy-networks.sh: $command is not built: cargo build --release" >&2; exit 2; }

python3 - "$data" "$command" "${LEARNT:-0.6}" "${ORIGINS:-500}" "${ONLY:-}" "${MODELS:-}" <<'PY'
import glob, json, math, os, subprocess, sys, time

data, command, learnt, origins, only, chosen = sys.argv[1:7]
networks = ["gru", "tcn", "mixer"]
models = chosen.split(",") if chosen else ["persistence", "ridge", "blend", *networks]
tasks = []


def task(pattern, at, target, horizons, *more):
    for file in sorted(glob.glob(os.path.join(data, pattern))):
        if only in file:
            rows = sum(1 for _ in open(file)) - ("--no-header" not in more)
            until = int(rows * float(learnt))
            every = max(1, (rows - until) // int(origins))
            tasks.append((file, [*at, "--target", target, "--horizons", horizons, "--train-until", str(until),
                                 "--every", str(every), *more]))


task("appliances-energy/*.csv", ("--time", "date"), "T1", "6,36,144", "--inputs", "T_out,RH_1,Appliances")
task("appliances-energy/*.csv", ("--time", "date"), "RH_1", "6,36,144", "--inputs", "T_out,RH_out,T1")
task("building-rc/*.csv", ("--time", "#1"), "Ti", "1,6,24", "--inputs", "Ph,Ta,Th")
task("nab/*/*.csv", ("--time", "timestamp"), "value", "1,12,288")
task("occupancy/datatraining.txt", ("--time", "date"), "CO2", "1,60,720", "--inputs", "Temperature,Humidity,Light")
task("occupancy/datatest.txt", ("--time", "date"), "Temperature", "1,60,360", "--inputs", "CO2,Humidity,Light")
task("pi3b-thermal/*.csv", ("--time", "datetime"), "temp", "10,60,300", "--inputs", "usage")
task("tclab/run_a*.csv", ("--time", "#1"), "#4", "1,10,60", "--inputs", "#2,#3")
task("tclab/run_b*.csv", ("--time", "#1"), "#3", "1,10,60", "--inputs", "#2", "--no-header")
task("tep-simulated/d*_te.dat", ("--period", "180"), "#9", "1,5,20", "--inputs", "#1,#7,#10,#21", "--no-header")

head = " ".join("%-17s" % m for m in models if m not in ("persistence", "ridge"))
print("mean absolute error over ridge regression's, by horizon; s: seconds to learn and to forecast")
print("%-36s %-10s %-24s %s" % ("recording", "horizons", "ridge's error", head))
ratios = {m: ([], []) for m in models}
seconds = dict.fromkeys(models, 0.0)
folders = {}
for file, flags in tasks:
    errors = {}
    for m in models:
        began = time.monotonic()
        ran = subprocess.run([command, "--json", "score", "forecast", "--data", file, *flags, "--model", m],
                             capture_output=True, text=True)
        seconds[m] += time.monotonic() - began
        if ran.returncode:
            sys.exit(f"{file}: {ran.stderr}")
        errors[m] = json.loads(ran.stdout)["horizons"]
    persistence = [h["persistence_mae"] for h in errors["ridge"]]
    # A series that repeats itself exactly leaves no error to compare.
    told = [all(errors[m][k]["mae"] for m in models) and errors["ridge"][k]["mae"] > 1e-3 * max(persistence)
            for k in range(len(persistence))]
    row = []
    for m in models:
        each = []
        for ours, ridge, told_here in zip(errors[m], errors["ridge"], told):
            if told_here:
                ratios[m][0].append(ours["mae"] / ridge["mae"])
                ratios[m][1].append(math.sqrt(ours["mse"] / ridge["mse"]))
                folders.setdefault(os.path.basename(os.path.dirname(file)), {}).setdefault(m, []).append(ratios[m][0][-1])
            each.append("%.2f" % (ours["mae"] / ridge["mae"]) if told_here else "–")
        if m not in ("persistence", "ridge"):
            row.append("%-17s" % " ".join(each))
    ridge = " ".join("%.4g" % h["mae"] for h in errors["ridge"])
    print("%-36s %-10s %-24s %s" % (os.path.basename(file)[:36], flags[flags.index("--horizons") + 1], ridge, " ".join(row)),
          flush=True)


def mean(all):
    return math.exp(sum(map(math.log, all)) / len(all)) if all else float("nan")


print(f"\n{len(tasks)} recordings; error over ridge regression's, geometric mean over recordings and horizons")
print("%-12s %6s %6s %18s %22s %8s" % ("", "MAE", "RMSE", "below ridge's", "below the default's", "s"))
for m in models:
    mae, rmse = ratios[m]
    blend = ratios["blend"][0] if "blend" in ratios else []
    print("%-12s %6.3f %6.3f %11d of %3d %15d of %3d %8.0f" % (
        m, mean(mae), mean(rmse), sum(r < 1 for r in mae), len(mae),
        sum(a < b for a, b in zip(mae, blend)), len(blend), seconds[m]))
print("\nMAE by folder")
for folder, of in folders.items():
    print("%-24s" % folder, "  ".join(f"{m} {mean(of.get(m, [])):.2f}" for m in models))
PY
