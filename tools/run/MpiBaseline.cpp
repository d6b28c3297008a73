//===- MpiBaseline.cpp - What a framework does, over MPI ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Rank 0 speaks to the processes; each rank moves its own contents to and from
/// the mailbox.
//
//===----------------------------------------------------------------------===//
#include "tools/run/MpiBaseline.h"

#include "tools/common/Error.h"

#include <fmt/format.h>

#include <algorithm>

namespace fusco::run {
namespace {

baseline::ElementType elementTypeOf(reference::ElementType type) {
  switch (type) {
  case reference::ElementType::F16:
    return baseline::ElementType::F16;
  case reference::ElementType::F32:
    return baseline::ElementType::F32;
  default:
    return baseline::ElementType::BF16;
  }
}

baseline::Shape shapeOf(const reference::Shape &shape, const Routing &routing) {
  baseline::Shape result = {};
  result.nodes = shape.nodes;
  result.ranksPerNode = shape.ranksPerNode;
  result.topk = shape.topk;
  result.type = elementTypeOf(shape.tokenType);
  result.isWeighted = shape.weighted;
  result.experts = shape.experts;
  result.hidden = shape.hidden;
  result.alignRows = shape.alignRows;
  for (const RankRouting &rank : routing.ranks)
    result.maxTokens = std::max(result.maxTokens, rank.tokens);
  for (int64_t rows : expertRowsOf(shape, routing))
    result.maxRows = std::max(result.maxRows, rows);
  return result;
}

/// What of \p library the baseline does not do; empty if it does all.
std::string unsupportedOf(const Library &library, const Options &options) {
  const reference::Shape &shape = library.shape();
  if (library.isOnGpu())
    return "libraries for GPUs";
  if (options.launch != LaunchKind::Threads)
    return "--launch processes or env";
  if (shape.quantization || shape.outputQuantization)
    return "float8 rows";
  if (shape.isRankMajor)
    return "rank-major rows";
  if (shape.hasTable)
    return "experts placed by a table";
  if (shape.capacityRows != 0)
    return "expert slots";
  if (shape.hasBias)
    return "a bias";
  if (shape.hasResidual)
    return "a residual";
  if (shape.partialType != reference::ElementType::F32)
    return "partial sums of bf16";
  if (shape.rowType != shape.tokenType || shape.outputType != shape.tokenType ||
      shape.combinedType() != shape.tokenType)
    return "casts";
  return "";
}

} // namespace

void requireMpiSupports(const Library &library, const Options &options) {
  const std::string unsupported = unsupportedOf(library, options);
  if (!unsupported.empty())
    throw Error(fmt::format("--baseline mpi does not support {}; it runs "
                            "expert-major rows of the tokens' type, for CPUs, "
                            "with ranks as threads",
                            unsupported));
}

MpiBaseline::MpiBaseline(const Library &library, const Routing &routing,
                         const Options &options)
    : job(shapeOf(library.shape(), routing), options.timeoutMs),
      mailbox(job.mailbox()) {}

//===--- Contents ---------------------------------------------------------===//

void MpiBaseline::setTokens(Rank &rank, const Tensors &tensors) {
  mailbox.rank(rank.index).tokens = tensors["x"].shape[0];
  const std::vector<int64_t> ids = tensors.integers("ids");
  std::copy(ids.begin(), ids.end(), mailbox.ids(rank.index));
  if (mailbox.shape().isWeighted)
    std::copy_n(tensors.data("weights"), tensors.numBytes("weights"),
                reinterpret_cast<uint8_t *>(mailbox.weights(rank.index)));
  std::copy_n(tensors.data("x"), tensors.numBytes("x"),
              mailbox.tokenRows(rank.index));
  run(rank, baseline::Command::LoadTokens);
}

void MpiBaseline::setOutputs(Rank &rank, const Tensors &tensors) {
  std::copy_n(tensors.data("y"), tensors.numBytes("y"),
              mailbox.expertRows(rank.index));
  run(rank, baseline::Command::LoadOutputs);
}

void MpiBaseline::getRows(Rank &rank, Tensors &tensors) {
  run(rank, baseline::Command::SaveRows);
  auto takeIntegers = [&](const char *name, const int64_t *from) {
    tensors.setIntegers(name, {from, from + tensors[name].shape[0]});
  };
  takeIntegers("counts", mailbox.counts(rank.index));
  takeIntegers("offsets", mailbox.offsets(rank.index));
  // More rows than there is room for are wrong, and `offsets` shows it.
  const int64_t numRows =
      mailbox.offsets(rank.index)[mailbox.shape().maxLocalExperts()];
  const int64_t bytes = std::min(numRows * mailbox.shape().bytesPerRow(),
                                 tensors.numBytes("rows"));
  std::copy_n(mailbox.expertRows(rank.index), bytes, tensors.data("rows"));
}

void MpiBaseline::getResult(Rank &rank, Tensors &tensors) {
  run(rank, baseline::Command::SaveResult);
  std::copy_n(mailbox.tokenRows(rank.index), tensors.numBytes("out"),
              tensors.data("out"));
}

//===--- Commands ---------------------------------------------------------===//

Span MpiBaseline::time(Rank &rank, baseline::Command command) {
  run(rank, command);
  const baseline::Mailbox::Rank &times = mailbox.rank(rank.index);
  return {times.startUs, times.endUs};
}

void MpiBaseline::run(Rank &rank, baseline::Command command) {
  const uint64_t round = rounds; // changes only while all ranks are in here
  rank.meet();
  if (rank.index != 0) {
    awaitRound(round);
  } else {
    try {
      job.run(command);
    } catch (...) {
      endRound();
      throw;
    }
    endRound();
  }
  rank.meet(); // or the end of all, if rank 0 has failed
}

void MpiBaseline::endRound() {
  std::lock_guard<std::mutex> lock(mutex);
  ++rounds;
  ended.notify_all();
}

void MpiBaseline::awaitRound(uint64_t round) {
  std::unique_lock<std::mutex> lock(mutex);
  ended.wait(lock, [&] { return rounds != round; });
}

} // namespace fusco::run
