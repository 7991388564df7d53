#!/usr/bin/env bash
# The accuracy of `score detect` beside the textbook's detectors, on public recordings that do not come with the repository:
# a folder with nab/ (series and windows.json), tep-simulated/ and occupancy/, as their sources publish them.
set -euo pipefail

if [[ $# != 1 || ! -d $1 ]]; then
  echo "Usage: tests/accuracy-detect.sh DATA_FOLDER" >&2
  exit 2
fi
data=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo build --release --quiet
twinfleet=${CARGO_TARGET_DIR:-target}/release/twinfleet
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

detect() { "$twinfleet" score detect --out "$work/out" "$@" 2>/dev/null | tail -2; }

echo "== windows of nab/, one setting for all files"
for detector in novelty gaussian cusum page-hinkley glr bocpd; do
  printf '%-14s' "$detector"
  detect --data "$data/nab" --time timestamp --signals value --windows "$data/nab/windows.json" --detector "$detector" |
    tail -1
done
for folder in "$data"/nab/*/; do
  printf '%-24s' "$(basename "$folder")"
  detect --data "$folder" --time timestamp --signals value --windows "$data/nab/windows.json" | tail -1
done

# The normal run is stored transposed, and labels are known by row: a fault starts after row 160.
echo "== process plant: d00_te is normal, the others have a fault from row 161 on"
mkdir "$work/plant"
awk '{ for (i = 1; i <= NF; i++) row[i] = row[i] " " $i; n = NF } END { for (i = 1; i <= n; i++) print row[i], 0 }' \
  "$data/tep-simulated/d00.dat" >"$work/normal.dat"
for file in "$data"/tep-simulated/d*_te.dat; do
  name=$(basename "$file")
  awk -v faulty="$([[ $name == d00_te.dat ]] && echo 0 || echo 1)" '{ print $0, (faulty && NR > 160) ? 1 : 0 }' \
    "$file" >"$work/plant/$name"
done
signals=$(seq -s, -f '#%g' 1 52)
plant=(--data "$work/plant" --no-header --period 180 --signals "$signals" --label '#53' --train "$work/normal.dat")
for detector in normal pca dynamic-pca; do
  printf '%-14s' "$detector"
  detect "${plant[@]}" --detector "$detector" | head -1
done
"$twinfleet" score detect "${plant[@]}" --out "$work/out" 2>/dev/null | head -6 | sed "s|$work/plant/||"

echo "== office: occupied or not, learnt from the empty hours of another week"
detect --data "$data/occupancy/datatest.txt" --time date --signals Temperature,Humidity,Light,CO2 --label Occupancy \
  --train "$data/occupancy/datatraining.txt" | head -1
