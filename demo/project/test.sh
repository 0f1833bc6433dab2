#!/bin/sh
# Each line: text, expected number of words.
status=0
check() {
  got=$(printf "$1" | ./wordcount)
  [ "$got" = "$2" ] || { echo "FAIL: '$1' has $2 words, counted $got"; status=1; }
}
check ''                  0
check 'one\n'             1
check 'two words\n'       2
check '  spaces  around ' 2
check 'no newline at end' 4
[ $status = 0 ] && echo "ok: all tests passed"
exit $status
