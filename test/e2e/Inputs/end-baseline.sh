#!/bin/sh
# Usage: end-baseline.sh SIGNAL CODE COMMAND...
# Passes if COMMAND, a fusco-run that times a baseline in other processes, ends with
# CODE when it gets SIGNAL meanwhile ("none": by itself), and leaves neither process
# nor file. FUSCO_TEST_SIGNAL_IN names the step in which it gets it: timing, if it is
# not set.
signal=$1 expected=$2
shift 2
rm -rf tmp && mkdir tmp
export TMPDIR=$PWD/tmp OMPI_MCA_btl_vader_backing_directory=$PWD/tmp
"$@" >/dev/null 2>stderr.txt &
process=$!
if [ "$signal" != none ]; then
  until grep -q "^fusco-run: ${FUSCO_TEST_SIGNAL_IN:-timing}" stderr.txt || ! kill -0 $process; do sleep 0.1; done
  sleep 0.5
  kill -"$signal" $process
fi
wait $process
code=$?
cat stderr.txt >&2
# Whoever gets no chance to wait for the others ends before them.
[ "$signal" = KILL ] && patience=100 || patience=0
left() { pgrep -f "/proc/$process/fd/" || find tmp -type f; }
while [ $patience -gt 0 ] && [ -n "$(left)" ]; do
  patience=$((patience - 1))
  sleep 0.1
done
[ "$code" -eq "$expected" ] && [ -z "$(left)" ] && exit 0
echo "expected exit code $expected and nothing left, got $code and: $(left)" >&2
exit 1
