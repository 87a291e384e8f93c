#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Rows a second that PostgreSQL takes, each in a transaction of its own that is on disk when it is
# answered, from 64 clients: prints one number, the median of three runs. A cluster of its own below
# TMPDIR, on a socket there. A row has the size of an event, the table no index but its key.
set -eu
seconds=${1:-3}
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
[ -x "${bin:-/nowhere}/initdb" ] || { echo "postgresql is not installed" >&2; exit 1; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/uplift-postgres-XXXXXX")
as=
if [ "$(id -u)" = 0 ]; then # the server refuses to run as root
    chown postgres "$folder"
    as="runuser -u postgres --"
fi
cd "$folder"
trap '$as "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1; rm -rf "$folder"' EXIT
$as "$bin/initdb" -D "$folder/data" -A trust -U uplift >/dev/null
cat >>"$folder/data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$folder'
max_connections = 100
END
$as "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w start >/dev/null
psql -q -h "$folder" -U uplift postgres <<END
create table event (id bigserial primary key, customer bigint, at timestamptz, body text);
END
cat >"$folder/insert.sql" <<END
\\set customer random(1, 1000000)
insert into event (customer, at, body) values (:customer, now(), repeat('x', 80));
END
for run in 1 2 3; do
    "$bin/pgbench" -n -h "$folder" -U uplift -c 64 -j 2 -T "$seconds" -M prepared \
        -f "$folder/insert.sql" postgres 2>/dev/null | sed -n 's/^tps = \([0-9.]*\).*/\1/p'
done | sort -n | sed -n 2p
