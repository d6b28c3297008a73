//===- MpiFault.cpp - An MPI that does one thing wrong --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Loaded before MPI, so that a test can see fusco-run find what the
/// environment variable FUSCO_MPI_FAULT says of rank 1: `rows` or `result`
/// changes the first exponent that dispatch or combine receives; `death` and
/// `silence` end and stop the process in its first dispatch.
//
//===----------------------------------------------------------------------===//
#include <csignal>
#include <cstdlib>
#include <mpi.h>
#include <string>
#include <unistd.h>

extern "C" int MPI_Alltoallv(const void *sent, const int *sentCounts,
                             const int *sentStarts, MPI_Datatype sentType,
                             void *received, const int *receivedCounts,
                             const int *receivedStarts,
                             MPI_Datatype receivedType, MPI_Comm comm) {
  static int numCalls = 0;
  const int call = numCalls++;
  const char *fault = std::getenv("FUSCO_MPI_FAULT");
  const std::string name = fault ? fault : "";
  int rank;
  MPI_Comm_rank(comm, &rank);
  if (rank == 1 && name == "death")
    raise(SIGKILL);
  if (rank == 1 && name == "silence")
    pause();
  const int result =
      PMPI_Alltoallv(sent, sentCounts, sentStarts, sentType, received,
                     receivedCounts, receivedStarts, receivedType, comm);
  if (rank == 1 &&
      ((call == 0 && name == "rows") || (call == 1 && name == "result")))
    static_cast<unsigned char *>(received)[1] ^= 0x40;
  return result;
}
