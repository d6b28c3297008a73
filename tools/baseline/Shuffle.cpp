//===- Shuffle.cpp - Dispatch and combine over MPI ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// See Shuffle.h. Rows in the order of destinations are grouped by expert
/// within each destination, so that what arrives are runs, one for each source
/// and expert, which are copied whole.
//
//===----------------------------------------------------------------------===//
#include "tools/baseline/Shuffle.h"

#include "tools/baseline/Copy.h"

#include <algorithm>
#include <numeric>

namespace fusco::baseline {

Shuffle::Shuffle(const Shape &shape)
    : ids(shape.maxTokens * shape.topk), weights(shape.maxTokens * shape.topk),
      x(shape.maxTokens * shape.bytesPerRow()),
      rows(shape.maxRows * shape.bytesPerRow()),
      y(shape.maxRows * shape.bytesPerRow()),
      out(shape.maxTokens * shape.bytesPerRow()),
      counts(size_t(shape.maxLocalExperts())),
      offsets(size_t(shape.maxLocalExperts()) + 1), shape(shape),
      bytesPerRow(shape.bytesPerRow()),
      sentCounts(size_t(shape.numRanks() * shape.maxLocalExperts())),
      receivedCounts(sentCounts.size()), nextSent(sentCounts.size()),
      nextRow(counts.size()), positions(shape.maxTokens * shape.topk),
      atSource(shape.numRanks()), atExperts(shape.numRanks()),
      byDestination(shape.maxTokens * shape.topk * shape.bytesPerRow()),
      bySource(shape.maxRows * shape.bytesPerRow()), terms(size_t(shape.topk)) {
  for (int owner = 0; owner != shape.numRanks(); ++owner)
    for (int64_t local = 0; local != shape.numLocalExperts(owner); ++local)
      slotOfExpert.push_back(int(owner * shape.maxLocalExperts() + local));
  runs.reserve(receivedCounts.size());
  // In units of rows, numbers fit into MPI's int for far larger buffers.
  MPI_Type_contiguous(int(bytesPerRow), MPI_BYTE, &rowType);
  MPI_Type_commit(&rowType);
}

Shuffle::~Shuffle() { MPI_Type_free(&rowType); }

//===--- Dispatch ---------------------------------------------------------===//

void Shuffle::dispatch() {
  exchangeCounts();
  layOut();
  permuteTokens();
  exchange(byDestination, atSource, bySource, atExperts);
  for (const Run &run : runs)
    copyRows(rows.data() + run.byExpert * bytesPerRow,
             bySource.data() + run.bySource * bytesPerRow,
             run.numRows * bytesPerRow);
  for (size_t local = 0; local != counts.size(); ++local) {
    const int64_t end = offsets[local] + counts[local];
    std::fill(rows.data() + end * bytesPerRow,
              rows.data() + offsets[local + 1] * bytesPerRow, 0);
  }
  endCopies();
}

void Shuffle::exchangeCounts() {
  std::fill(sentCounts.begin(), sentCounts.end(), 0);
  for (int64_t pair = 0; pair != tokens * shape.topk; ++pair)
    if (ids[pair] >= 0)
      ++sentCounts[size_t(slotOfExpert[size_t(ids[pair])])];
  const int perRank = int(shape.maxLocalExperts());
  MPI_Alltoall(sentCounts.data(), perRank, MPI_INT, receivedCounts.data(),
               perRank, MPI_INT, MPI_COMM_WORLD);
}

void Shuffle::layOut() {
  const size_t perRank = counts.size();
  auto setSide = [&](Side &side, const std::vector<int> &slots) {
    int next = 0;
    for (size_t rank = 0; rank != side.counts.size(); ++rank) {
      const auto first = slots.begin() + ptrdiff_t(rank * perRank);
      side.counts[rank] = std::accumulate(first, first + ptrdiff_t(perRank), 0);
      side.starts[rank] = next;
      next += side.counts[rank];
    }
  };
  setSide(atSource, sentCounts);
  setSide(atExperts, receivedCounts);
  std::exclusive_scan(sentCounts.begin(), sentCounts.end(), nextSent.begin(),
                      0);
  std::fill(counts.begin(), counts.end(), 0);
  for (size_t slot = 0; slot != receivedCounts.size(); ++slot)
    counts[slot % perRank] += receivedCounts[slot];
  for (size_t local = 0; local != perRank; ++local) {
    const int64_t end = offsets[local] + counts[local];
    offsets[local + 1] =
        (end + shape.alignRows - 1) / shape.alignRows * shape.alignRows;
  }
  findRuns();
}

void Shuffle::findRuns() {
  runs.clear();
  nextRow.assign(offsets.begin(), offsets.end() - 1);
  int64_t bySource = 0;
  for (size_t slot = 0; slot != receivedCounts.size(); ++slot) {
    const int64_t numRows = receivedCounts[slot];
    int64_t &byExpert = nextRow[slot % counts.size()];
    if (numRows != 0)
      runs.push_back({bySource, byExpert, numRows});
    bySource += numRows;
    byExpert += numRows;
  }
}

void Shuffle::permuteTokens() {
  for (int64_t token = 0; token != tokens; ++token)
    for (int64_t pair = token * shape.topk; pair != (token + 1) * shape.topk;
         ++pair) {
      if (ids[pair] < 0)
        continue;
      positions[pair] = nextSent[size_t(slotOfExpert[size_t(ids[pair])])]++;
      copyRows(byDestination.data() + positions[pair] * bytesPerRow,
               x.data() + token * bytesPerRow, bytesPerRow);
    }
  endCopies();
}

void Shuffle::exchange(const Buffer<uint8_t> &from, const Side &sent,
                       Buffer<uint8_t> &to, const Side &received) {
  MPI_Alltoallv(from.data(), sent.counts.data(), sent.starts.data(), rowType,
                to.data(), received.counts.data(), received.starts.data(),
                rowType, MPI_COMM_WORLD);
}

//===--- Combine ----------------------------------------------------------===//

void Shuffle::combine() {
  for (const Run &run : runs)
    copyRows(bySource.data() + run.bySource * bytesPerRow,
             y.data() + run.byExpert * bytesPerRow, run.numRows * bytesPerRow);
  endCopies();
  exchange(bySource, atExperts, byDestination, atSource);
  sumTokens();
}

void Shuffle::sumTokens() {
  for (int64_t token = 0; token != tokens; ++token) {
    const int numTerms = findTerms(token);
    sumRows(shape.type, terms.data(), numTerms, shape.hidden,
            out.data() + token * bytesPerRow);
  }
}

/// Fills `terms` with those of \p token; gives their number.
int Shuffle::findTerms(int64_t token) {
  int numTerms = 0;
  for (int64_t pair = token * shape.topk; pair != (token + 1) * shape.topk;
       ++pair) {
    if (ids[pair] < 0)
      continue;
    const int rank =
        slotOfExpert[size_t(ids[pair])] / int(shape.maxLocalExperts());
    int at = numTerms++;
    for (; at != 0 && terms[size_t(at) - 1].rank > rank; --at)
      terms[size_t(at)] = terms[size_t(at) - 1];
    terms[size_t(at)] = {byDestination.data() + positions[pair] * bytesPerRow,
                         shape.isWeighted ? weights[pair] : 1.0f, rank, true,
                         true};
  }
  for (int i = 1; i < numTerms; ++i) {
    Term &term = terms[size_t(i) - 1];
    const Term &next = terms[size_t(i)];
    term.endsRank = next.rank != term.rank;
    term.endsNode =
        next.rank / shape.ranksPerNode != term.rank / shape.ranksPerNode;
  }
  return numTerms;
}

} // namespace fusco::baseline
