#!/bin/bash
# deps.sh build|run|test|check|bench|cover - installs what is missing on a minimal Debian 12, says what it does, and is quick when all is there.
#
# build: a compiler and libraries, by apt-get, which may never remove anything here. run: and python3, which posts the demo's events.
# test:  and tools; servers for tests are only unpacked, into build/deps/root, and run as ordinary programs without rights;
#        npm packages at the versions of tests/lib/node/package-lock.json; a recent Node where the system's is older than 20.
# check: and the second compiler, the fuzzer and the formatter; ClickHouse, unpacked into build/deps/rivals, which answers filters in SQL.
# bench: as test, and rivals: those servers, Redis, DuckDB at the version of tests/bench/node/package-lock.json.
#        A rival that cannot be had is said to be missing; the rest is measured.
set -euo pipefail
cd "$(dirname "$0")/../.."

BUILD="gcc libc6-dev pkg-config zlib1g-dev libuv1-dev libmicrohttpd-dev libsqlite3-dev libcurl4-openssl-dev libjansson-dev libssl-dev libzstd-dev
  libpcre2-dev libyaml-dev libgnutls28-dev libsystemd-dev ca-certificates"
TEST="python3 chromium openssl curl binutils zstd"
CHECK="clang-14 clang-format-14 libclang-rt-14-dev llvm-14 man-db"
SERVERS="swift-proxy swift-account swift-container swift-object memcached exim4-daemon-heavy libnss-wrapper python3-aiosmtpd python3-attr python3-public prometheus rsyslog systemd-journal-remote python3-sentry-sdk"
RIVALS="clickhouse-server ripgrep"
NODE=22.23.3
export DEBIAN_FRONTEND=noninteractive

say() { echo "deps: $*"; }

missing() { # of these packages
  comm -23 <(printf '%s\n' "$@" | sort) <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | sort -u)
}

# A list of packages that is a day old names files that are gone.
update() { # [again]
  local stamp=build/deps/updated
  [ -z "${1:-}" ] && [ -n "$(find $stamp -mmin -600 2>/dev/null)" ] && return 0
  say "apt-get update"
  apt-get update -qq
  mkdir -p build/deps && touch $stamp
}

apt_install() { apt-get install -y -qq --no-remove --no-install-recommends "$@" </dev/null >/dev/null; }

install_packages() {
  local want policy=/usr/sbin/policy-rc.d
  mapfile -t want < <(missing "$@")
  [ ${#want[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    say "these packages are missing, and only root may install them:
  sudo apt-get update && sudo apt-get install --no-remove --no-install-recommends ${want[*]}" >&2
    exit 1
  fi
  say "installing ${want[*]}"
  update
  if [ ! -e $policy ]; then # no daemon that a package brings starts by itself
    trap "rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
  fi
  apt_install "${want[@]}" || { update again && apt_install "${want[@]}"; }
}

# The packages themselves, installed or not, and the libraries that this system lacks for them.
download() {
  { printf '%s\n' "$@"; apt-get -s -qq install --no-install-recommends "$@" | awk '/^Inst/ {print $2}'; } | sort -u >wanted
  xargs apt-get -qq -o APT::Sandbox::User=root download <wanted
}

unpack() { # STAMP ROOT PACKAGES...
  local root=build/deps/$2 debs=build/deps/$2.debs stamp
  stamp=build/deps/$1.$(sha256sum <<<"${*:3}" | cut -c1-12)
  [ ! -e "$stamp" ] || return 0
  say "unpacking into $root: ${*:3}"
  [ "$(id -u)" != 0 ] || update
  rm -rf "$debs" "$root" "build/deps/$1".* && mkdir -p "$debs" "$root"
  (cd "$debs" && { download "${@:3}" || { cd ../../.. && update again && cd "$debs" && download "${@:3}"; }; }) || return 1
  for d in "$debs"/*.deb; do dpkg-deb --fsys-tarfile "$d" | tar -x -C "$root" --no-same-owner --no-same-permissions || return 1; done
  chmod -R u-s,g-s "$root"
  rm -rf "$debs" && touch "$stamp"
}
unpack_servers() { unpack servers root $SERVERS; }

node_packages() {
  local lock=tests/lib/node/package-lock.json stamp
  stamp=build/deps/node.$(cat $lock <(echo $NODE) | sha256sum | cut -c1-12)
  [ ! -e "$stamp" ] || return 0
  say "npm ci of tests/lib/node, into build/deps/node"
  rm -rf build/deps/node build/deps/node.* build/deps/nodejs && mkdir -p build/deps/node build/deps/nodejs
  cp tests/lib/node/package.json $lock build/deps/node/
  (cd build/deps/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
    local kind=node-linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
    say "the system's Node is $(node --version): $NODE from npm, into build/deps/nodejs"
    (cd build/deps/nodejs && npm install --ignore-scripts --no-audit --no-fund --loglevel=error "$kind@$NODE")
    ln -sfn "nodejs/node_modules/$kind/bin/node" build/deps/node-bin
  else
    ln -sfn "$(node -p process.execPath)" build/deps/node-bin
  fi
  touch "$stamp"
}

unpack_rivals() { unpack rivals rivals $RIVALS || say "MISSING: $RIVALS cannot be had here, it goes on without them" >&2; }

# Whoever measures wants what can be had; a server from Debian and a library from npm are not to be had everywhere.
rivals() {
  local lock=tests/bench/node/package-lock.json stamp
  stamp=build/deps/duckdb.$(sha256sum <$lock | cut -c1-12)
  unpack_rivals
  unpack redis redis redis-server || say "MISSING: Redis cannot be had here, unique counts are measured without it" >&2
  [ ! -e "$stamp" ] || return 0
  say "npm ci of tests/bench/node, into build/deps/duckdb"
  rm -rf build/deps/duckdb build/deps/duckdb.* && mkdir -p build/deps/duckdb
  cp tests/bench/node/package.json $lock build/deps/duckdb/
  (cd build/deps/duckdb && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) && touch "$stamp" ||
    say "MISSING: DuckDB cannot be had here, the figures come without it" >&2
}

npm_itself() { for p in node npm; do command -v $p >/dev/null || echo $p | sed s/node/nodejs/; done; }

# shellcheck disable=SC2086,SC2046
case "${1:-}" in
build) install_packages $BUILD ;;
run) install_packages $BUILD python3 ;;
test) install_packages $BUILD $TEST $(npm_itself) && unpack_servers && node_packages ;;
bench) "$0" test && rivals ;;
cover) install_packages $BUILD gcovr ;;
check) install_packages $BUILD $TEST $CHECK $(npm_itself) && unpack_servers && node_packages && unpack_rivals ;;
*) echo "usage: deps.sh build|run|test|check|bench|cover" >&2; exit 2 ;;
esac
