#!/usr/bin/env bash
# Draws the pictures of the desktop's start page by the desktop itself, one a shipped scenario: assets/previews/make.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo build --release -p twinfleet-desktop
bin=${CARGO_TARGET_DIR:-target}/release/twinfleet-desktop
while read -r name at view; do
  "$bin" "$name" --screenshot "assets/previews/$name.png" --at "$at" --view "$view" --size 480x270 --bare
done <<'TEXT'
cold-night 14h overview
diagnose-bench 35min overview
greenhouse 2h10min overview
heated-box 63min device:box
load-commands 1s overview
load-faults 1s overview
load-search 1s overview
load-smoke 1s overview
parcel-drop 3400ms front
pi3b-mirror 33min device:pi-1
scripted 2min overview
sick-sensors 1h30min overview
swing-shake-drive 3s overview
tclab-mirror 8min device:lab-1
TEXT
