//===- Reference.cpp - What shuffles must compute -------------------------===//
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

#include "tools/reference/Replicas.h"

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
  auto check = [](const std::optional<Quantization> &quantization,
                  ElementType type, const char *what) {
    if (!quantization)
      return;
    require(quantization->type == ElementType::F8E4M3FN ||
                quantization->type == ElementType::F8E5M2,
            std::string("expected ") + what + " to be quantised to a float8");
    require(quantization->type == type, std::string("expected quantised ") +
                                            what + " to have the type of the " +
                                            what);
    require(quantization->blockColumns > 0,
            "expected a positive number of columns in a block");
  };
  check(shape.quantization, shape.rowType, "rows");
  require(!shape.isInputQuantized ||
              (shape.quantization && shape.tokenType == shape.rowType),
          "expected an input that is quantised to have the type of the rows");
  check(shape.outputQuantization, shape.outputType, "outputs");
  require(shape.partialType == ElementType::F32 ||
              shape.partialType == ElementType::BF16,
          "expected partial sums of f32 or bf16");
}

void checkInput(const Shape &shape, const RankInput &input) {
  size_t pairs = size_t(input.tokens) * size_t(shape.topk);
  require(input.tokens >= 0 && input.ids.size() == pairs,
          "expected ids of shape [tokens, topk]");
  require(input.weights.size() == (shape.takesWeights() ? pairs : 0),
          "expected weights of shape [tokens, topk], or none if the shape "
          "takes none");
  require(input.x.size() ==
              size_t(input.tokens * shape.bytesPerRow(shape.tokenType)),
          "expected x of shape [tokens, hidden]");
  require(input.bias.size() ==
              size_t(shape.hasBias ? shape.bytesPerRow(shape.addedType()) : 0),
          "expected a bias of one row, or none if the shape has none");
  require(
      input.residual.size() ==
          (shape.hasResidual
               ? size_t(input.tokens * shape.bytesPerRow(shape.addedType()))
               : 0),
      "expected a residual of the shape of x, or none if the shape has none");
  require(input.xScales.size() ==
              (shape.isInputQuantized
                   ? size_t(input.tokens *
                            shape.quantization.value().bytesOfScalesPerRow(
                                shape.hidden))
                   : 0),
          "expected scales of x, or none if the shape has none");
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

/// Rows of one element type.
struct Rows {
  ElementType type;
  const uint8_t *data;
};

float elementOf(const Shape &shape, const Rows &rows, int64_t row,
                int64_t column) {
  return widen(rows.type,
               loadElement(rows.type, rows.data, row * shape.hidden + column));
}

/// Writes row \p fromRow of \p from to row \p toRow of \p to, whose elements
/// have the type \p toType. Bits stay as they are where nothing needs to be
/// computed.
void moveRow(const Shape &shape, const Rows &from, int64_t fromRow,
             ElementType toType, Bytes &to, int64_t toRow,
             const float *weight = nullptr) {
  const int64_t bytesPerRow = shape.bytesPerRow(toType);
  if (!weight && from.type == toType) {
    std::memcpy(&to[size_t(toRow * bytesPerRow)],
                from.data + fromRow * bytesPerRow, size_t(bytesPerRow));
    return;
  }
  for (int64_t h = 0; h != shape.hidden; ++h) {
    const float element = elementOf(shape, from, fromRow, h);
    storeElement(toType, &to[size_t(toRow * bytesPerRow)], h,
                 narrow(toType, weight ? *weight * element : element));
  }
}

/// Writes what is dispatched of \p token to row \p toRow of \p to.
void dispatchRow(const Shape &shape, const RankInput &input, int64_t token,
                 RankDispatch &to, int64_t toRow) {
  const Rows x = {shape.tokenType, input.x.data()};
  if (!shape.quantization || shape.isInputQuantized)
    moveRow(shape, x, token, shape.rowType, to.rows, toRow);
  if (!shape.quantization)
    return;
  const int64_t bytes = shape.quantization->bytesOfScalesPerRow(shape.hidden);
  uint8_t *scales = &to.scales[size_t(toRow * bytes)];
  if (shape.isInputQuantized)
    std::memcpy(scales, &input.xScales[size_t(token * bytes)], size_t(bytes));
  else
    quantizeRow(*shape.quantization, x.type, shape.hidden,
                x.data + token * shape.bytesPerRow(x.type),
                &to.rows[size_t(toRow * shape.bytesPerRow(shape.rowType))],
                scales);
}

/// sum = sum as an element of \p type.
void roundTo(ElementType type, std::vector<float> &sum) {
  for (float &element : sum)
    element = widen(type, narrow(type, element));
}

/// How sumRows() sums: what combine() and the backward of dispatch differ in.
struct Summation {
  ElementType rowType;
  ElementType resultType;
  /// Of rows, and where their scales are by rank; null if not quantised.
  const Quantization *quantization = nullptr;
  const std::vector<const uint8_t *> *scales = nullptr;
  const float *weights = nullptr; ///< null: all are 1
  ElementType partialType = ElementType::F32;
  bool hasSummands = false; ///< bias and residual, if the shape has any
};

/// Row \p row of rank \p rank as float32.
std::vector<float> rowOf(const Shape &shape, const Summation &how,
                         const std::vector<const uint8_t *> &rows, int rank,
                         int64_t row) {
  std::vector<float> result(size_t(shape.hidden));
  const Rows all = {how.rowType, rows[size_t(rank)]};
  if (how.quantization)
    dequantizeRow(*how.quantization, shape.hidden,
                  all.data + row * shape.bytesPerRow(how.rowType),
                  (*how.scales)[size_t(rank)] +
                      row * how.quantization->bytesOfScalesPerRow(shape.hidden),
                  result.data());
  else
    for (int64_t h = 0; h != shape.hidden; ++h)
      result[size_t(h)] = elementOf(shape, all, row, h);
  return result;
}

/// The sum that Reference.h describes at combine(), for the tokens of \p input.
Bytes sumRows(const Shape &shape, const RankInput &input,
              const std::vector<Slot> &slots,
              const std::vector<const uint8_t *> &rows, const Summation &how) {
  checkShape(shape);
  checkInput(shape, input);
  require(slots.size() == input.ids.size(),
          "expected the slots of the same input");
  require(rows.size() == size_t(shape.numRanks()),
          "expected one array of rows per rank");
  require(!how.quantization || how.scales->size() == rows.size(),
          "expected one array of scales per rank");
  const size_t hidden = size_t(shape.hidden);
  const int64_t bytesPerToken = shape.bytesPerRow(how.resultType);
  Bytes out(size_t(input.tokens * bytesPerToken));
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
          const float w = how.weights ? how.weights[firstPair + k] : 1.0f;
          const std::vector<float> z = rowOf(shape, how, rows, rank, slot.row);
          for (size_t h = 0; h != hidden; ++h)
            acc[h] = std::fma(w, z[h], acc[h]);
        }
        if (acc.empty())
          continue;
        roundTo(how.partialType, acc);
        addTo(nodeSum, hasNodeSum, acc);
      }
      if (!hasNodeSum)
        continue;
      roundTo(how.partialType, nodeSum);
      addTo(total, hasTotal, nodeSum);
    }
    auto addRow = [&](const Bytes &summand, int64_t row) {
      for (size_t h = 0; h != hidden; ++h)
        total[h] += elementOf(shape, {shape.addedType(), summand.data()}, row,
                              int64_t(h));
    };
    if (how.hasSummands && shape.hasBias)
      addRow(input.bias, 0);
    if (how.hasSummands && shape.hasResidual)
      addRow(input.residual, token);
    for (size_t h = 0; h != hidden; ++h)
      storeElement(how.resultType, &out[size_t(token * bytesPerToken)],
                   int64_t(h), narrow(how.resultType, total[h]));
  }
  return out;
}

/// The dot product that Reference.h describes at CombineGradient::dweights.
float dotRows(const Shape &shape, const Rows &a, int64_t rowOfA, const Rows &b,
              int64_t rowOfB) {
  constexpr int64_t numLanes = 32;
  float lanes[numLanes] = {};
  for (int64_t h = 0; h != shape.hidden; ++h) {
    float &acc = lanes[h % numLanes];
    acc = std::fma(elementOf(shape, a, rowOfA, h),
                   elementOf(shape, b, rowOfB, h), acc);
  }
  for (int64_t n = numLanes / 2; n != 0; n /= 2)
    for (int64_t j = 0; j != n; ++j)
      lanes[j] = lanes[j] + lanes[j + n];
  return widen(ElementType::F32, narrow(ElementType::F32, lanes[0]));
}

/// dispatch() to rank-major rows.
std::vector<RankDispatch>
dispatchRankMajor(const Shape &shape, const std::vector<RankInput> &inputs) {
  std::vector<RankDispatch> result(size_t(shape.numRanks()));
  for (int source = 0; source != shape.numRanks(); ++source)
    result[size_t(source)].slots.resize(inputs[size_t(source)].ids.size());
  for (int rank = 0; rank != shape.numRanks(); ++rank) {
    RankDispatch &out = result[size_t(rank)];
    const int64_t first = shape.firstExpert(rank);
    const int64_t held = shape.numLocalExperts(rank);
    int64_t numRows = 0;
    for (int source = 0; source != shape.numRanks(); ++source) {
      const RankInput &input = inputs[size_t(source)];
      RankDispatch &own = result[size_t(source)];
      for (int64_t token = 0; token != input.tokens; ++token) {
        std::vector<int64_t> ids;
        int firstOwn = -1; // k
        for (int k = 0; k != shape.topk; ++k) {
          const int64_t id = input.ids[size_t(token * shape.topk + k)];
          const bool isOwn = id >= first && id < first + held;
          if (shape.hasGlobalIds)
            ids.push_back(id);
          else
            ids.push_back(isOwn ? id - first : -1);
          if (isOwn && firstOwn < 0)
            firstOwn = k;
        }
        if (firstOwn < 0)
          continue;
        const int64_t row = numRows++;
        own.slots[size_t(token * shape.topk + firstOwn)] = {rank, row};
        out.rows.resize(size_t(numRows * shape.bytesPerRow(shape.rowType)));
        if (shape.quantization)
          out.scales.resize(size_t(
              numRows * shape.quantization->bytesOfScalesPerRow(shape.hidden)));
        dispatchRow(shape, input, token, out, row);
        out.rowIds.insert(out.rowIds.end(), ids.begin(), ids.end());
        const auto weights = input.weights.begin() + token * shape.topk;
        out.rowWeights.insert(out.rowWeights.end(), weights,
                              weights + shape.topk);
        ++own.rowsUniqueRank;
      }
    }
    out.counts = {numRows};
    out.offsets = {0, numRows};
  }
  for (int source = 0; source != shape.numRanks(); ++source) {
    RankDispatch &own = result[size_t(source)];
    for (int64_t token = 0; token != inputs[size_t(source)].tokens; ++token) {
      std::set<int> nodes;
      for (int k = 0; k != shape.topk; ++k) {
        const int rank = own.slots[size_t(token * shape.topk + k)].rank;
        if (rank >= 0)
          nodes.insert(rank / shape.ranksPerNode);
      }
      nodes.erase(source / shape.ranksPerNode);
      own.rowsUniqueNode += int64_t(nodes.size());
    }
  }
  return result;
}

} // namespace

int64_t Shape::numLocalExperts(int rank) const {
  const int64_t physical = numPhysicalExperts();
  return physical / numRanks() + (rank < physical % numRanks() ? 1 : 0);
}

int64_t Shape::firstExpert(int rank) const {
  const int64_t physical = numPhysicalExperts();
  return rank * (physical / numRanks()) +
         std::min<int64_t>(rank, physical % numRanks());
}

int Shape::rankOfExpert(int64_t expert) const {
  int rank = 0;
  while (expert >= firstExpert(rank) + numLocalExperts(rank))
    ++rank;
  return rank;
}

int64_t Shape::maxLocalExperts() const { return numLocalExperts(0); }

std::vector<std::vector<int64_t>>
plannedIdsOf(const Shape &shape, std::vector<std::vector<int64_t>> ids,
             const std::vector<int64_t> &placement) {
  if (shape.hasTable)
    ids = physicalIdsOf(shape, ids, placement);
  if (!shape.dropsOverflow)
    return ids;
  std::vector<int64_t> used(size_t(shape.numPhysicalExperts()), 0);
  for (std::vector<int64_t> &ofRank : ids)
    for (int64_t &id : ofRank)
      if (id >= 0 && ++used[size_t(id)] > shape.capacityRows)
        id = -1;
  return ids;
}

std::vector<RankDispatch> dispatch(const Shape &shape,
                                   const std::vector<RankInput> &inputs,
                                   const std::vector<int64_t> &placement) {
  checkShape(shape);
  require(inputs.size() == size_t(shape.numRanks()),
          "expected one input per rank");
  for (const RankInput &input : inputs)
    checkInput(shape, input);
  if (shape.isRankMajor)
    return dispatchRankMajor(shape, inputs);
  const int numRanks = shape.numRanks();
  const int64_t numPhysical = shape.numPhysicalExperts();
  std::vector<int> rankOfExpert;
  for (int64_t expert = 0; expert != numPhysical; ++expert)
    rankOfExpert.push_back(shape.rankOfExpert(expert));

  // From here on an expert is a physical one.
  std::vector<std::vector<int64_t>> ids;
  for (const RankInput &input : inputs)
    ids.push_back(input.ids);
  ids = plannedIdsOf(shape, std::move(ids), placement);
  std::vector<int64_t> count(size_t(numPhysical), 0);
  for (const std::vector<int64_t> &ofRank : ids)
    for (int64_t id : ofRank)
      if (id >= 0)
        ++count[size_t(id)];

  // Layout of each rank: one segment per local expert.
  std::vector<RankDispatch> result(static_cast<size_t>(numRanks));
  std::vector<int64_t> nextRow(size_t(numPhysical), 0);
  for (int rank = 0; rank != numRanks; ++rank) {
    RankDispatch &out = result[size_t(rank)];
    int64_t numRows = 0;
    for (int64_t local = 0; local != shape.maxLocalExperts(); ++local) {
      out.offsets.push_back(numRows);
      if (local >= shape.numLocalExperts(rank)) {
        out.counts.push_back(0);
        numRows += shape.capacityRows;
        continue;
      }
      size_t expert = size_t(shape.firstExpert(rank) + local);
      out.counts.push_back(count[expert]);
      nextRow[expert] = numRows;
      require(shape.capacityRows == 0 || count[expert] <= shape.capacityRows,
              "expected no expert to get more rows than it has slots");
      numRows = shape.capacityRows != 0
                    ? numRows + shape.capacityRows
                    : roundUp(numRows + count[expert], shape.alignRows);
    }
    out.offsets.push_back(numRows);
    out.rows.assign(size_t(numRows * shape.bytesPerRow(shape.rowType)), 0);
    if (shape.hasRowWeights)
      out.rowWeights.assign(size_t(numRows), 0);
    if (shape.hasReady) {
      out.ready.assign(size_t(1 + numRows / shape.tileRows()), 0);
      out.ready[0] = 1;
    }
    if (shape.quantization)
      out.scales.assign(
          size_t(numRows *
                 shape.quantization->bytesOfScalesPerRow(shape.hidden)),
          0);
  }

  // Rows, in the order (source rank, token, k).
  for (int source = 0; source != numRanks; ++source) {
    const RankInput &input = inputs[size_t(source)];
    RankDispatch &own = result[size_t(source)];
    own.slots.resize(input.ids.size());
    own.keptIds = input.ids;
    for (int64_t token = 0; token != input.tokens; ++token) {
      std::set<int> ranks, otherNodes;
      for (int k = 0; k != shape.topk; ++k) {
        size_t pair = size_t(token * shape.topk + k);
        int64_t id = ids[size_t(source)][pair];
        if (id < 0) {
          own.keptIds[pair] = -1;
          continue;
        }
        int rank = rankOfExpert[size_t(id)];
        int64_t row = nextRow[size_t(id)]++;
        own.slots[pair] = {rank, row};
        if (shape.hasRowWeights)
          result[size_t(rank)].rowWeights[size_t(row)] = input.weights[pair];
        if (shape.hasReady)
          ++result[size_t(rank)].ready[size_t(1 + row / shape.tileRows())];
        dispatchRow(shape, input, token, result[size_t(rank)], row);
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
                  const std::vector<const uint8_t *> &y,
                  const std::vector<const uint8_t *> &scales) {
  Summation how = {shape.outputType, shape.combinedType()};
  if (shape.outputQuantization) {
    how.quantization = &*shape.outputQuantization;
    how.scales = &scales;
  }
  how.weights = shape.weighted ? input.weights.data() : nullptr;
  how.partialType = shape.partialType;
  how.hasSummands = true;
  return sumRows(shape, input, slots, y, how);
}

std::vector<Bytes> combine(const Shape &shape,
                           const std::vector<RankInput> &inputs,
                           const std::vector<RankDispatch> &dispatched,
                           const std::vector<const uint8_t *> &y,
                           const std::vector<const uint8_t *> &scales) {
  require(inputs.size() == size_t(shape.numRanks()) &&
              dispatched.size() == inputs.size(),
          "expected one input and one dispatch result per rank");
  std::vector<Bytes> result;
  for (size_t rank = 0; rank != inputs.size(); ++rank)
    result.push_back(
        combineRank(shape, inputs[rank], dispatched[rank].slots, y, scales));
  return result;
}

Bytes dispatchBackward(const Shape &shape, const RankInput &input,
                       const std::vector<Slot> &slots,
                       const std::vector<const uint8_t *> &drows) {
  return sumRows(shape, input, slots, drows,
                 {shape.rowGradientType(), shape.tokenType});
}

CombineGradient combineBackward(const Shape &shape, int rank,
                                const std::vector<RankInput> &inputs,
                                const std::vector<RankDispatch> &dispatched,
                                const std::vector<const uint8_t *> &dout,
                                const std::vector<const uint8_t *> &y) {
  checkShape(shape);
  const size_t numRanks = size_t(shape.numRanks());
  require(inputs.size() == numRanks && dispatched.size() == numRanks &&
              dout.size() == numRanks,
          "expected one input, one dispatch result and one dout per rank");
  require(!shape.weighted || y.size() == numRanks, "expected one y per rank");
  CombineGradient gradient;
  const int64_t numRows = dispatched[size_t(rank)].offsets.back();
  gradient.dy.assign(size_t(numRows * shape.bytesPerRow(shape.outputType)), 0);
  if (shape.weighted)
    gradient.dweights.assign(inputs[size_t(rank)].ids.size(), 0.0f);
  for (size_t source = 0; source != numRanks; ++source) {
    const std::vector<Slot> &slots = dispatched[source].slots;
    const Rows from = {shape.combinedType(), dout[source]};
    for (size_t pair = 0; pair != slots.size(); ++pair) {
      const Slot &slot = slots[pair];
      if (slot.rank < 0)
        continue;
      const int64_t token = int64_t(pair) / shape.topk;
      if (slot.rank == rank)
        moveRow(shape, from, token, shape.outputType, gradient.dy, slot.row,
                shape.weighted ? &inputs[source].weights[pair] : nullptr);
      if (int(source) == rank && shape.weighted)
        gradient.dweights[pair] =
            dotRows(shape, from, token,
                    {shape.outputType, y[size_t(slot.rank)]}, slot.row);
    }
  }
  return gradient;
}

} // namespace fusco::reference
