//===- Reference.cpp - What dispatch and combine must compute -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The reference interpreter, in the order of the semantics' text.
//
//===----------------------------------------------------------------------===//
#include "tools/reference/Reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <stdexcept>
#include <string>

namespace fusco::reference {
namespace {

int64_t roundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

void require(bool holds, const std::string &what) {
  if (!holds)
    throw std::invalid_argument("reference interpreter: " + what);
}

void checkShape(const Shape &shape) {
  require(shape.nodes > 0 && shape.ranksPerNode > 0 && shape.experts > 0 &&
              shape.topk > 0 && shape.hidden > 0 && shape.alignRows > 0,
          "every extent of the shape must be positive");
}

void checkInput(const Shape &shape, const RankInput &input) {
  size_t pairs = size_t(input.tokens) * size_t(shape.topk);
  require(input.tokens >= 0 && input.ids.size() == pairs,
          "expected ids of shape [tokens, topk]");
  require(input.weights.size() == (shape.weighted ? pairs : 0),
          "expected weights of shape [tokens, topk], or none if the shape is "
          "not weighted");
  require(input.x.size() == size_t(input.tokens) * size_t(shape.bytesPerRow()),
          "expected x of shape [tokens, hidden]");
  for (int64_t id : input.ids)
    require(id >= -1 && id < shape.experts, "expected an expert id in [-1, " +
                                                std::to_string(shape.experts) +
                                                "), got " + std::to_string(id));
}

/// sum += addend, where a sum to which nothing was added yet becomes addend.
void addTo(std::vector<float> &sum, bool &hasSum,
           const std::vector<float> &addend) {
  if (!hasSum) {
    sum = addend;
    hasSum = true;
    return;
  }
  for (size_t h = 0; h != sum.size(); ++h)
    sum[h] = sum[h] + addend[h];
}

} // namespace

int64_t Shape::numLocalExperts(int rank) const {
  return experts / numRanks() + (rank < experts % numRanks() ? 1 : 0);
}

int64_t Shape::firstExpert(int rank) const {
  return rank * (experts / numRanks()) +
         std::min<int64_t>(rank, experts % numRanks());
}

int Shape::rankOfExpert(int64_t expert) const {
  int rank = 0;
  while (expert >= firstExpert(rank) + numLocalExperts(rank))
    ++rank;
  return rank;
}

int64_t Shape::maxLocalExperts() const { return numLocalExperts(0); }

std::vector<RankDispatch> dispatch(const Shape &shape,
                                   const std::vector<RankInput> &inputs) {
  checkShape(shape);
  require(inputs.size() == size_t(shape.numRanks()),
          "expected one input per rank");
  for (const RankInput &input : inputs)
    checkInput(shape, input);
  const int numRanks = shape.numRanks();
  std::vector<int> rankOfExpert;
  for (int64_t expert = 0; expert != shape.experts; ++expert)
    rankOfExpert.push_back(shape.rankOfExpert(expert));

  std::vector<int64_t> count(size_t(shape.experts), 0);
  for (const RankInput &input : inputs)
    for (int64_t id : input.ids)
      if (id >= 0)
        ++count[size_t(id)];

  // Layout of each rank: one segment per local expert.
  std::vector<RankDispatch> result(static_cast<size_t>(numRanks));
  std::vector<int64_t> nextRow(size_t(shape.experts), 0);
  for (int rank = 0; rank != numRanks; ++rank) {
    RankDispatch &out = result[size_t(rank)];
    int64_t numRows = 0;
    for (int64_t local = 0; local != shape.maxLocalExperts(); ++local) {
      out.offsets.push_back(numRows);
      if (local >= shape.numLocalExperts(rank)) {
        out.counts.push_back(0);
        continue;
      }
      size_t expert = size_t(shape.firstExpert(rank) + local);
      out.counts.push_back(count[expert]);
      nextRow[expert] = numRows;
      numRows = roundUp(numRows + count[expert], shape.alignRows);
    }
    out.offsets.push_back(numRows);
    out.rows.assign(size_t(numRows * shape.bytesPerRow()), 0);
  }

  // Rows, in the order (source rank, token, k).
  const int64_t bytesPerRow = shape.bytesPerRow();
  for (int source = 0; source != numRanks; ++source) {
    const RankInput &input = inputs[size_t(source)];
    RankDispatch &own = result[size_t(source)];
    own.slots.resize(input.ids.size());
    for (int64_t token = 0; token != input.tokens; ++token) {
      std::set<int> ranks, otherNodes;
      for (int k = 0; k != shape.topk; ++k) {
        size_t pair = size_t(token * shape.topk + k);
        int64_t id = input.ids[pair];
        if (id < 0)
          continue;
        int rank = rankOfExpert[size_t(id)];
        int64_t row = nextRow[size_t(id)]++;
        own.slots[pair] = {rank, row};
        std::memcpy(&result[size_t(rank)].rows[size_t(row * bytesPerRow)],
                    &input.x[size_t(token * bytesPerRow)], size_t(bytesPerRow));
        ranks.insert(rank);
        if (rank / shape.ranksPerNode != source / shape.ranksPerNode)
          otherNodes.insert(rank / shape.ranksPerNode);
      }
      own.rowsUniqueRank += int64_t(ranks.size());
      own.rowsUniqueNode += int64_t(otherNodes.size());
    }
  }
  return result;
}

Bytes combineRank(const Shape &shape, const RankInput &input,
                  const std::vector<Slot> &slots,
                  const std::vector<const uint8_t *> &y) {
  checkShape(shape);
  checkInput(shape, input);
  require(slots.size() == input.ids.size(),
          "expected the slots of the same input");
  require(y.size() == size_t(shape.numRanks()), "expected one y per rank");
  const size_t hidden = size_t(shape.hidden);
  Bytes out(size_t(input.tokens * shape.bytesPerRow()));
  for (int64_t token = 0; token != input.tokens; ++token) {
    const size_t firstPair = size_t(token * shape.topk);
    std::vector<float> total(hidden, 0.0f);
    bool hasTotal = false;
    for (int node = 0; node != shape.nodes; ++node) {
      std::vector<float> nodeSum;
      bool hasNodeSum = false;
      for (int local = 0; local != shape.ranksPerNode; ++local) {
        const int rank = node * shape.ranksPerNode + local;
        std::vector<float> acc;
        for (size_t k = 0; k != size_t(shape.topk); ++k) {
          const Slot &slot = slots[firstPair + k];
          if (slot.rank != rank)
            continue;
          acc.resize(hidden, 0.0f);
          float w = shape.weighted ? input.weights[firstPair + k] : 1.0f;
          const uint8_t *row = y[size_t(rank)] + slot.row * shape.bytesPerRow();
          for (size_t h = 0; h != hidden; ++h) {
            float z =
                widen(shape.type, loadElement(shape.type, row, int64_t(h)));
            acc[h] = std::fma(w, z, acc[h]);
          }
        }
        if (!acc.empty())
          addTo(nodeSum, hasNodeSum, acc);
      }
      if (hasNodeSum)
        addTo(total, hasTotal, nodeSum);
    }
    for (size_t h = 0; h != hidden; ++h)
      storeElement(shape.type, &out[size_t(token * shape.bytesPerRow())],
                   int64_t(h), narrow(shape.type, total[h]));
  }
  return out;
}

std::vector<Bytes> combine(const Shape &shape,
                           const std::vector<RankInput> &inputs,
                           const std::vector<RankDispatch> &dispatched,
                           const std::vector<const uint8_t *> &y) {
  require(inputs.size() == size_t(shape.numRanks()) &&
              dispatched.size() == inputs.size(),
          "expected one input and one dispatch result per rank");
  std::vector<Bytes> result;
  for (size_t rank = 0; rank != inputs.size(); ++rank)
    result.push_back(
        combineRank(shape, inputs[rank], dispatched[rank].slots, y));
  return result;
}

} // namespace fusco::reference
