//===- Main.cpp - fusco-mpi-baseline --------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// One rank of the baseline that `fusco-run --baseline mpi` compares with. It
/// is started by fusco-run through mpirun and does what the mailbox says.
//
//===----------------------------------------------------------------------===//
#include "tools/baseline/Mailbox.h"
#include "tools/baseline/Shuffle.h"

#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fcntl.h>
#include <stdexcept>
#include <sys/prctl.h>

using namespace fusco::baseline;

namespace {

double nowUs() {
  std::chrono::duration<double, std::micro> time =
      std::chrono::steady_clock::now().time_since_epoch();
  return time.count();
}

/// A rank and its part of the mailbox.
class Worker {
public:
  Worker(Mailbox &mailbox, int rank)
      : mailbox(mailbox), index(rank), shuffle(mailbox.shape()) {}

  /// Returns when it is told to end.
  void work() {
    answer();
    for (Command command; (command = await()) != Command::End; answer())
      follow(command);
  }

private:
  Command await() {
    while (sem_wait(&mailbox.rank(index).commanded) != 0)
      continue; // a signal came
    return mailbox.header().command;
  }

  void answer() {
    mailbox.rank(index).hasAnswered = true;
    sem_post(&mailbox.header().answered);
  }

  void follow(Command command) {
    switch (command) {
    case Command::LoadTokens:
      return loadTokens();
    case Command::Dispatch:
      return time([&] { shuffle.dispatch(); });
    case Command::SaveRows:
      return saveRows();
    case Command::LoadOutputs:
      std::copy_n(mailbox.expertRows(index), bytesOf(numRows()),
                  shuffle.y.data());
      return;
    case Command::Combine:
      return time([&] { shuffle.combine(); });
    case Command::SaveResult:
      std::copy_n(shuffle.out.data(), bytesOf(shuffle.tokens),
                  mailbox.tokenRows(index));
      return;
    case Command::End:
      return;
    }
  }

  /// From all inputs being ready to this rank's outputs being so.
  template <typename Body> void time(Body body) {
    MPI_Barrier(MPI_COMM_WORLD);
    mailbox.rank(index).startUs = nowUs();
    body();
    mailbox.rank(index).endUs = nowUs();
  }

  void loadTokens() {
    shuffle.tokens = mailbox.rank(index).tokens;
    const int64_t pairs = shuffle.tokens * mailbox.shape().topk;
    std::copy_n(mailbox.ids(index), pairs, shuffle.ids.data());
    if (mailbox.shape().isWeighted)
      std::copy_n(mailbox.weights(index), pairs, shuffle.weights.data());
    std::copy_n(mailbox.tokenRows(index), bytesOf(shuffle.tokens),
                shuffle.x.data());
  }

  void saveRows() {
    std::copy(shuffle.counts.begin(), shuffle.counts.end(),
              mailbox.counts(index));
    std::copy(shuffle.offsets.begin(), shuffle.offsets.end(),
              mailbox.offsets(index));
    std::copy_n(shuffle.rows.data(), bytesOf(numRows()),
                mailbox.expertRows(index));
  }

  int64_t numRows() const { return shuffle.offsets.back(); }
  int64_t bytesOf(int64_t rows) const {
    return rows * mailbox.shape().bytesPerRow();
  }

  Mailbox &mailbox;
  const int index;
  Shuffle shuffle;
};

/// The mailbox in the file at \p path, for as many ranks as there are.
Mailbox &openMailbox(const char *path) {
  const int file = open(path, O_RDWR | O_CLOEXEC);
  Mailbox *mailbox = file < 0 ? nullptr : Mailbox::open(file);
  int numRanks;
  MPI_Comm_size(MPI_COMM_WORLD, &numRanks);
  if (!mailbox || mailbox->shape().numRanks() != numRanks)
    throw std::runtime_error(
        std::string("expected the memory of a fusco-run of this version and "
                    "its number of ranks, got '") +
        path + "'; fusco-run --baseline mpi starts this program");
  return *mailbox;
}

} // namespace

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL); // ends with mpirun, however that ends
  if (argc != 2) {
    std::fputs("fusco-mpi-baseline: error: expected the memory to work with; "
               "fusco-run --baseline mpi starts this program\n",
               stderr);
    return 2;
  }
  MPI_Init(nullptr, nullptr);
  try {
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    Worker(openMailbox(argv[1]), rank).work();
    MPI_Finalize();
    return 0;
  } catch (const std::bad_alloc &) {
    std::fputs("fusco-mpi-baseline: error: not enough memory for this many "
               "tokens; lower --tokens\n",
               stderr);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "fusco-mpi-baseline: error: %s\n", error.what());
  }
  MPI_Abort(MPI_COMM_WORLD, 1);
}
