#!/usr/bin/env bash
# Prints the calibration figures of README: fits over the shipped recordings, and open loop over what was held out.
# Usage: tests/calibration.sh [DIR of building-rc, a recording that is not shipped]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --quiet -p twinfleet
tf="${CARGO_TARGET_DIR:-target}/release/twinfleet"
pi=assets/recordings/pi3b
parts=(bottom frame cable_side gpio_side top_solid top_holed fan_in fan_out)

rmse() { # JSON on stdin: RMSE of each signal of a part, and their root mean square
  python3 -c '
import json, sys
s = [x for x in json.load(sys.stdin)["scores"] if x["part"] == sys.argv[1]]
print("  ".join("%s %.2f" % (x["signal"], x["rmse"]) for x in s), "| together %.2f" % (sum(x["rmse"] ** 2 for x in s) / len(s)) ** 0.5)' "$1"
}
covariates() { # the case's parts of each recording, from the digits of its name
  for file in "$@"; do
    digits=$(basename "$file" .csv); digits=${digits#pistress_}
    for k in "${!parts[@]}"; do echo "$(basename "$file"):${parts[$k]}=${digits:$k:1}"; done
  done
}
columns=(--time datetime --map cpu.load=usage soc.temperature=temp)

echo "Raspberry Pi 3B: 60 % of a run fitted, open loop over the rest, RMSE °C"
for file in "$pi"/pistress_*.csv; do
  echo "$(basename "$file") $("$tf" fit --json --thing raspberry-pi-3b --data "$file" "${columns[@]}" --train-fraction 0.6 2>/dev/null | rmse held)"
done
echo "A case never seen, from the other eight, its parts as covariates, RMSE °C"
for file in "$pi"/pistress_*.csv; do
  mapfile -t others < <(ls "$pi"/pistress_*.csv | grep -v "$file")
  mapfile -t parts_of < <(covariates "${others[@]}" "$file")
  echo "$(basename "$file") $("$tf" fit --json --thing pi3b --starts 1 --data "${others[@]}" --test "$file" "${columns[@]}" --const "${parts_of[@]}" 2>/dev/null | rmse held)"
done

lab=assets/recordings/tclab
a=(--data "$lab/run_a_mimo_600s.csv" --time '#1' --map heater1.level=#2 heater2.level=#3 sensor1.temperature=#4 sensor2.temperature=#5)
b=(--data "$lab/run_b_siso_step.csv" --no-header --time '#1' --map heater1.level=#2 sensor1.temperature=#3:K --const '*:heater2.level=0')
echo "TCLab: own fit, RMSE °C"
echo "run a $("$tf" fit --json --thing tclab "${a[@]}" 2>/dev/null | rmse fit)"
echo "run b $("$tf" fit --json --thing tclab "${b[@]}" 2>/dev/null | rmse fit)"
echo "TCLab: first half fitted, open loop over the second, RMSE °C"
echo "run a $("$tf" fit --json --thing tclab "${a[@]}" --train-fraction 0.5 2>/dev/null | rmse held)"
echo "run b $("$tf" fit --json --thing tclab "${b[@]}" --train-fraction 0.5 2>/dev/null | rmse held)"

if [[ $# -gt 0 ]]; then
  echo "A room (building-rc): 70 % fitted, open loop over the rest, RMSE °C"
  "$tf" fit --json --thing room --data "$1"/*.csv --time '#1' --train-fraction 0.7 --map heater.power=Ph \
    outside.temperature=Ta room.temperature=Ti 2>/dev/null | rmse held
fi
