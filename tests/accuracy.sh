#!/usr/bin/env bash
# Every accuracy table of README.md, on a folder of public recordings that do not come with the repository. Hours, if all of it
# is asked for; name parts to have those alone.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/accuracy.sh DATA_FOLDER [PART...]

  DATA_FOLDER  with appliances-energy/, building-rc/, nab/, occupancy/, pi3b-thermal/, tclab/ and tep-simulated/
  PART         rooms, forecasts, networks, calibration, detect, diagnose (default: all)
TEXT
}
[[ $# -ge 1 && $1 != --help && $1 != -h ]] || { usage; exit 2; }
[[ -d $1 ]] || { echo "tests/accuracy.sh: $1 is no folder" >&2; exit 2; }
data=$(cd "$1" && pwd)
shift
cd "$(dirname "${BASH_SOURCE[0]}")/.."
twinfleet=${CARGO_TARGET_DIR:-target}/release/twinfleet
[[ -x $twinfleet ]] || cargo build --release --quiet
[[ $# -gt 0 ]] || set -- rooms forecasts calibration detect diagnose networks

for part in "$@"; do
  echo "=== $part"
  case $part in
    rooms) tests/accuracy-rooms.sh "$data"/appliances-energy/*.csv "$twinfleet" ;;
    forecasts) tests/accuracy-forecast.sh "$data" "$twinfleet" ;;
    networks) tests/accuracy-networks.sh "$data" "$twinfleet" ;;
    calibration) tests/calibration.sh "$data/building-rc" ;;
    detect) tests/accuracy-detect.sh "$data" ;;
    diagnose)
      work=$(mktemp -d)
      for seed in $(seq 12); do
        "$twinfleet" run diagnose-bench --seed "$seed" --record "$work/rec-$seed" >"$work/log" 2>&1 ||
          { cat "$work/log" >&2; exit 1; }
      done
      "$twinfleet" score diagnose --record "$work"/rec-*
      rm -rf "$work"
      ;;
    *) usage >&2; exit 2 ;;
  esac
done
