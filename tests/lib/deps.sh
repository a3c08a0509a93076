#!/bin/bash
# deps.sh build|run|test - installs what is missing on a minimal Debian 12, says what it does, and is quick when all is there.
#
# build: compiler and libraries, by apt-get (never removing anything). run: and python3, which posts the demo events.
# test:  clang and tools by apt-get; servers for tests are only unpacked, into build/deps/root, and run as ordinary programs;
#        npm packages at the versions of tests/lib/node/package-lock.json; a recent Node where the system's is older than 20.
set -euo pipefail
cd "$(dirname "$0")/../.."

BUILD="gcc libc6-dev pkg-config zlib1g-dev libuv1-dev libmicrohttpd-dev libsqlite3-dev libcurl4-openssl-dev libjansson-dev libssl-dev libzstd-dev
  libpcre2-dev libyaml-dev libgnutls28-dev ca-certificates"
TEST="python3 clang-14 clang-format-14 libclang-rt-14-dev chromium openssl curl binutils man-db zstd"
SERVERS="swift-proxy swift-account swift-container swift-object memcached python3-swift python3-aiosmtpd prometheus"

sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"

missing() { for p in "$@"; do dpkg-query -W -f='${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || echo "$p"; done; }

# Lists of packages are fetched once, and again when they turn out to be old.
update() { [ -e build/deps/updated ] || { echo "deps: apt-get update"; $sudo apt-get update -qq; mkdir -p build/deps; touch build/deps/updated; }; }

install_packages() {
  local want
  want=$(missing "$@" | tr '\n' ' ')
  [ -n "${want// /}" ] || return 0
  echo "deps: installing $want"
  update
  # No daemon that a package brings may start by itself.
  local policy=/usr/sbin/policy-rc.d
  [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null; $sudo chmod 755 $policy; trap "$sudo rm -f $policy" EXIT; }
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-remove --no-install-recommends $want >/dev/null ||
    { rm -f build/deps/updated; update; DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-remove --no-install-recommends $want >/dev/null; }
}

unpack_servers() {
  local stamp="build/deps/servers: $SERVERS"
  stamp="build/deps/servers.$(printf %s "$stamp" | sha256sum | cut -c1-12)"
  [ ! -e "$stamp" ] || return 0
  echo "deps: unpacking servers for tests into build/deps/root: $SERVERS"
  update
  mkdir -p build/deps/debs build/deps/root
  # shellcheck disable=SC2086
  apt-get -s -qq install --no-install-recommends $SERVERS | awk '/^Inst/{print $2}' >build/deps/wanted
  (cd build/deps/debs && xargs -r apt-get -qq download <../wanted 2>/dev/null)
  for d in build/deps/debs/*.deb; do dpkg -x "$d" build/deps/root; done
  rm -rf build/deps/debs
  touch "$stamp"
}

node_packages() {
  local lock=tests/lib/node/package-lock.json stamp
  stamp="build/deps/node.$(sha256sum $lock | cut -c1-12)"
  [ ! -e "$stamp" ] || return 0
  echo "deps: npm ci of tests/lib/node (into build/deps/node)"
  rm -rf build/deps/node && mkdir -p build/deps/node
  cp tests/lib/node/package.json $lock build/deps/node/
  (cd build/deps/node && npm ci --ignore-scripts --no-audit --no-fund --silent)
  if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
    echo "deps: the system's Node is $(node --version): a recent one from npm's node package"
    (cd build/deps/node && npm install --no-save --no-audit --no-fund --silent node@22)
    ln -sfn ../deps/node/node_modules/node/bin/node build/deps/node-bin
  else
    ln -sfn "$(command -v node)" build/deps/node-bin
  fi
  touch "$stamp"
}

case "${1:-}" in
run) # shellcheck disable=SC2086
  install_packages $BUILD python3 ;;
build) # shellcheck disable=SC2086
  install_packages $BUILD ;;
test) # shellcheck disable=SC2086
  install_packages $BUILD $TEST $(command -v node >/dev/null || echo nodejs) $(command -v npm >/dev/null || echo npm)
  unpack_servers
  node_packages ;;
*) echo "usage: deps.sh build|run|test" >&2; exit 2 ;;
esac
