#!/usr/bin/env bash
# Browser tests drive Debian's Chromium; install it where it is missing and apt is at hand.
set -euo pipefail
if [ -n "${SEGLAB_CHROMIUM:-}" ] || command -v chromium >/dev/null || command -v google-chrome >/dev/null; then
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "browser tests need Chromium: install it and set SEGLAB_CHROMIUM to its path" >&2
  exit 1
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
