#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The Debian package in a fresh system: built, looked at by lintian, installed, started, upgraded with
# its data kept, removed and purged without a trace but the data. Prints TAP. Run by ./bootstrap test
# as root, with the folder of a configured build: tests/deb/package.sh BUILD
set -u
build=${1:?the folder of a configured build}
chroot=$build/chroot
count=0

skip() {
  echo "ok 1 - the package # SKIP $*"
  echo "1..1"
  exit 0
}

# point SENTENCE COMMAND...
point() {
  count=$((count + 1))
  sentence=$1
  shift
  if "$@" >"$build/deb.log" 2>&1 </dev/null; then
    echo "ok $count - $sentence"
  else
    tail -n 30 "$build/deb.log" | sed 's/^/# /'
    echo "not ok $count - $sentence"
  fi
}

inside() {
  chroot "$chroot" env LC_ALL=C DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

trap 'remove_system' INT TERM
[ "$(id -u)" -eq 0 ] || skip "needs root"
for tool in debootstrap dpkg-buildpackage lintian; do
  command -v $tool >/dev/null || skip "$tool is not installed"
done
. /etc/os-release
[ "${VERSION_CODENAME-}" = bookworm ] || skip "needs Debian 12"

# The version before is the same package under a lower number: building takes a minute.
build_both() {
  rm -f "$build"/*.deb
  make -C "$build" --no-print-directory deb || return 1
  rm -rf "$build/before"
  dpkg-deb -R "$build"/uplift_"$version"_*.deb "$build/before" &&
    sed -i 's/^Version: .*/Version: 0.0.1-1/' "$build/before/DEBIAN/control" &&
    dpkg-deb -b "$build/before" "$build/before.package"
  status=$?
  rm -rf "$build/before"
  return $status
}

remove_system() {
  if [ -e "$chroot/proc/self" ]; then umount "$chroot/proc"; fi
  rm -rf --one-file-system "$chroot"
}

new_system() {
  remove_system
  debootstrap --variant=minbase --include=ca-certificates bookworm "$chroot" || return 1
  printf '#!/bin/sh\nexit 101\n' >"$chroot/usr/sbin/policy-rc.d"
  chmod 755 "$chroot/usr/sbin/policy-rc.d"
  # The store asks the system where its file is mapped.
  mount -t proc proc "$chroot/proc" || return 1
  inside dpkg -l >/dev/null
  files_of_system >"$build/chroot.before"
}

# What a package may leave behind, without what apt and dpkg keep for themselves.
files_of_system() {
  (cd "$chroot" && find etc usr lib opt var/lib srv -xdev \( -type f -o -type l \) 2>/dev/null |
    grep -vE '^var/lib/(dpkg|apt|systemd/deb-systemd)|^etc/ld\.so\.cache|ldconfig|^usr/share/(man|doc)/.*cache' |
    LC_ALL=C sort)
}

install_deb() {
  cp "$1" "$chroot/tmp/uplift.deb" && inside apt-get -q -y --no-install-recommends install /tmp/uplift.deb
}

# serve COMMAND...: runs the server as the unit's line says, COMMAND with its address and key, ends it.
serve() {
  [ -e "$chroot/lib/systemd/system/uplift.service" ] || return 1
  line=$(sed -n 's/^ExecStart=//p' "$chroot/lib/systemd/system/uplift.service" | sed 's,%S,/var/lib,')
  # shellcheck disable=SC2086
  chroot "$chroot" env UPLIFT_LISTEN=127.0.0.1:0 $line >"$build/served.log" 2>&1 &
  server=$!
  tries=0
  until grep -q 'listening on' "$build/served.log"; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ] || ! kill -0 $server 2>/dev/null; then
      cat "$build/served.log"
      return 1
    fi
    sleep 0.1
  done
  url=$(sed -n 's/^listening on //p' "$build/served.log")
  key=$(sed -n 's/^admin key, shown only now: //p' "$build/served.log")
  "$@"
  status=$?
  kill -TERM $server && wait $server || status=1
  return $status
}

first_start() {
  [ -n "$key" ] && echo "$key" >"$build/served.key"
  curl -sSf "$url/" >/dev/null &&
    curl -sSf "$url/v1/metrics" -H "X-API-Key: $key" -d '{"key": "kept", "kind": "binary", "event": "order"}'
}

second_start() {
  curl -sSf "$url/v1/metrics/kept" -H "X-API-Key: $(cat "$build/served.key")"
}

installed_version() {
  [ "$(inside dpkg-query -W -f '${Version}' uplift)" = "$1" ]
}

has_manual_and_unit() {
  inside dpkg -L uplift >"$build/deb.files" &&
    grep -q /usr/share/man/man8/uplift-serve.8.gz "$build/deb.files" &&
    grep -q /etc/default/uplift "$build/deb.files" &&
    [ "$(grep -cE '^/usr/s?bin/.' "$build/deb.files")" -eq 1 ]
}

install_library() {
  cp "$build"/libuplift0_"$version"_*.deb "$chroot/tmp/libuplift0.deb" &&
    inside apt-get -q -y --no-install-recommends install /tmp/libuplift0.deb &&
    inside apt-get -q -y remove --purge libuplift0
}

no_trace() {
  inside apt-get -q -y autoremove --purge || return 1
  files_of_system | grep -v '^var/lib/uplift/' >"$build/chroot.after"
  diff "$build/chroot.before" "$build/chroot.after"
}

version=$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
point "builds two versions" build_both
point "lintian finds no error" lintian --fail-on error "$build"/*_"$version"_*.deb
point "a fresh system is made" new_system
point "the package lists of a system are there" inside apt-get -q update
point "installs" install_deb "$build/before.package"
point "has one program, its manual, its unit and its settings" has_manual_and_unit
point "starts and serves" serve first_start
point "upgrades" install_deb "$build"/uplift_"$version"_*.deb
point "is the newer version then" installed_version "$version"
point "serves the data from before" serve second_start
point "the library installs beside it" install_library
point "is removed" inside apt-get -q -y remove uplift
point "keeps settings until it is purged" test -e "$chroot/etc/default/uplift"
point "is purged" inside dpkg --purge uplift
point "leaves the data" test -e "$chroot/var/lib/uplift/data.mdb"
point "leaves nothing else" no_trace
remove_system
echo "1..$count"
