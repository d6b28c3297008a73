#!/bin/sh
# Usage: mpi-fault.sh LIBRARY FUSCO-RUN-ARGUMENTS...
# fusco-run, whose MPI baseline has LIBRARY loaded before MPI.
library=$1
shift
tools=$(dirname "$(command -v fusco-run)")
mkdir -p bin
cp "$tools/fusco-run" bin
printf '#!/bin/sh\nexec env LD_PRELOAD=%s %s "$@"\n' \
  "$library" "$tools/fusco-mpi-baseline" >bin/fusco-mpi-baseline
chmod +x bin/fusco-mpi-baseline
exec bin/fusco-run "$@"
