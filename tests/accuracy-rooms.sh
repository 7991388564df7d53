#!/usr/bin/env bash
# Accuracy of forecasts on a recording of a home (UCI 374, CC BY 4.0), beside what they have to beat: for each room the mean
# absolute errors of the default forecaster, of ridge regression and of persistence, and how often the intervals held.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/accuracy-rooms.sh ENERGY.csv [TWINFLEET] [TRAIN_UNTIL]

  ENERGY.csv   energydata_complete.csv of the UCI repository, or its first part
  TWINFLEET    the command (default: target/release/twinfleet)
  TRAIN_UNTIL  first time that is held out (default: 2016-04-01)
TEXT
}
[[ $# -ge 1 && $1 != --help && $1 != -h ]] || { usage; exit 2; }
data=$1 command=${2:-target/release/twinfleet} until=${3:-2016-04-01}
[[ -r $data ]] || { echo "tests/accuracy-rooms.sh: cannot read $data" >&2; exit 2; }
[[ -x $command ]] || { echo "tests/accuracy-rooms.sh: $command is not built: cargo build --release" >&2; exit 2; }

mae() { # model target others
  "$command" --json score forecast --data "$data" --time date --target "$2" --inputs "$3" --horizons 6,36,144 \
    --train-until "$until" --model "$1"
}
pick() { python3 -c '
import json, sys
f = json.load(sys.stdin)
print(" ".join("%.4f" % h[sys.argv[1]] for h in f["horizons"]), "%.3f %.3f" % (f["coverage"], f["worst_day_coverage"]),
      "%.4f" % (sum(h["pinball"] for h in f["horizons"])))' "$1"; }

all=T1,RH_1,T2,RH_2,T3,RH_3,T4,RH_4,T5,RH_5,T6,RH_6,T7,RH_7,T8,RH_8,T9,RH_9,T_out,RH_out,Windspeed,Press_mm_hg,Appliances,lights
printf '%-6s %-24s %-24s %-24s %s\n' room 'persistence 1/6/24 h' 'ridge 1/6/24 h' 'blend 1/6/24 h' 'blend/ridge, held, worst day'
for target in ${ROOMS:-T1 T2 T3 T4 T5 T7 T8 T9 RH_1 RH_4 RH_7 RH_9}; do
  ridge=$(mae ridge "$target" "$all")
  blend=$(mae blend "$target" "$all")
  python3 - "$target" <<PY
import sys
p = "$(pick persistence_mae <<<"$ridge")".split()
r = "$(pick mae <<<"$ridge")".split()
b = "$(pick mae <<<"$blend")".split()
ratio = " ".join("%.2f" % (float(x) / float(y)) for x, y in zip(b[:3], r[:3]))
print("%-6s %-24s %-24s %-24s %s  %s %s" % (sys.argv[1], " ".join(p[:3]), " ".join(r[:3]), " ".join(b[:3]), ratio, b[3], b[4]),
      " pinball %.2f" % (float(b[5]) / float(r[5])), flush=True)
PY
done
