#!/bin/sh
# as_user.sh PROGRAM      runs it as an ordinary user; 77 (skipped) where that user cannot reach it, as below /root
as_user() { setpriv --reuid 54321 --regid 54321 --clear-groups --no-new-privs "$@"; }
[ "$(id -u)" = 0 ] || exec "$1"
as_user test -x "$1" || { echo "skipped: an ordinary user cannot reach '$1'"; exit 77; }
as_user "$1"
