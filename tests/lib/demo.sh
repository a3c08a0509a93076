#!/bin/bash
# `make run`: a logd to try, in an empty folder under build/demo, with sample rules, an archive folder and a maildir.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 tests/lib/demo.py "$@"
