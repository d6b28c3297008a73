//===- ProcessBaseline.cpp - A baseline in other processes ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Rank 0 speaks to the processes; each rank moves its own contents to and from
/// the mailbox->
//
//===----------------------------------------------------------------------===//
#include "tools/run/ProcessBaseline.h"

#include "tools/common/Error.h"

#include <fmt/format.h>

#include <algorithm>
#include <fcntl.h>
#include <iterator>
#include <unistd.h>

namespace fusco::run {
namespace {

struct Kind {
  const char *name;
  bool runsOnCpu, runsOnGpu;
  bool besideThreads, besideProcesses; ///< how fusco-run's ranks may be
  bool keepsOrder;
  BaselineProgram (*programFor)(const Library &);

  std::string devices() const {
    return runsOnCpu && runsOnGpu ? ""
           : runsOnCpu            ? ", for CPUs"
                                  : ", for GPUs";
  }
  std::string launches() const {
    return !besideProcesses ? "threads"
           : !besideThreads ? "processes of one machine"
                            : "threads or processes of one machine";
  }
};
constexpr Kind kinds[] = {
    {"mpi", true, false, true, true, true, mpiProgram},
    // All of its ranks share a device.
    {"torch", true, true, true, false, false, torchProgram},
    // Each of its ranks has one.
    {"nccl", false, true, false, true, false, ncclProgram}};

const Kind &kindOf(const std::string &name) {
  return *std::find_if(std::begin(kinds), std::end(kinds),
                       [&](const Kind &kind) { return kind.name == name; });
}

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

/// What of \p library a baseline does not do; empty if it does all.
std::string unsupportedOf(const Kind &kind, const Library &library,
                          const Options &options) {
  const reference::Shape &shape = library.shape();
  if (library.isOnGpu() && !kind.runsOnGpu)
    return "libraries for GPUs";
  if (!library.isOnGpu() && !kind.runsOnCpu)
    return "libraries for CPUs";
  if (options.launch == LaunchKind::Threads && !kind.besideThreads)
    return "--launch threads";
  if (options.launch != LaunchKind::Threads && !kind.besideProcesses)
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

void requireSupports(const std::string &name, const Library &library,
                     const Options &options) {
  const Kind &kind = kindOf(name);
  const std::string unsupported = unsupportedOf(kind, library, options);
  if (!unsupported.empty())
    throw Error(fmt::format("--baseline {} does not support {}; it runs "
                            "expert-major rows of the tokens' type{}, with "
                            "ranks as {}",
                            name, unsupported, kind.devices(),
                            kind.launches()));
}

ProcessBaselines startBaselines(const Library &library, const Routing &routing,
                                const Options &options) {
  ProcessBaselines baselines;
  for (const std::string &name : options.processBaselines)
    baselines.push_back(
        std::make_unique<ProcessBaseline>(name, library, routing, options));
  return baselines;
}

ProcessBaseline::ProcessBaseline(const std::string &name,
                                 const Library &library, const Routing &routing,
                                 const Options &options)
    : name(name), keepsOrder(kindOf(name).keepsOrder),
      program(kindOf(name).programFor(library)),
      shape(shapeOf(library.shape(), routing)), timeoutMs(options.timeoutMs) {
  if (options.launch != LaunchKind::Threads)
    return; // by join()
  job.emplace(program, shape, timeoutMs);
  mailbox = &job->mailbox();
}

//===--- Contents ---------------------------------------------------------===//

/// The job is of rank 0's process, of which the others learn where it shares
/// its memory.
void ProcessBaseline::join(Rank &rank) {
  if (rank.index == 0)
    job.emplace(program, shape, timeoutMs);
  rank.meet(); // which takes as long as the program takes to start
  const std::string path =
      rank.gather(job ? job->path() : std::string()).front();
  if (job) {
    mailbox = &job->mailbox();
    return;
  }
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  mailbox = file < 0 ? nullptr : baseline::Mailbox::open(file);
  if (file >= 0)
    close(file);
  if (!mailbox)
    throw Error(fmt::format("cannot open the memory of the {} baseline at "
                            "'{}'; ranks must be processes of one machine",
                            program.title, path));
}

void ProcessBaseline::setTokens(Rank &rank, const Tensors &tensors) {
  if (!mailbox)
    join(rank);
  mailbox->rank(rank.index).tokens = tensors["x"].shape[0];
  const std::vector<int64_t> ids = tensors.integers("ids");
  std::copy(ids.begin(), ids.end(), mailbox->ids(rank.index));
  if (mailbox->shape().isWeighted)
    std::copy_n(tensors.data("weights"), tensors.numBytes("weights"),
                reinterpret_cast<uint8_t *>(mailbox->weights(rank.index)));
  std::copy_n(tensors.data("x"), tensors.numBytes("x"),
              mailbox->tokenRows(rank.index));
  run(rank, baseline::Command::LoadTokens);
}

void ProcessBaseline::setOutputs(Rank &rank, const Tensors &tensors) {
  std::copy_n(tensors.data("y"), tensors.numBytes("y"),
              mailbox->expertRows(rank.index));
  run(rank, baseline::Command::LoadOutputs);
}

void ProcessBaseline::getRows(Rank &rank, Tensors &tensors) {
  run(rank, baseline::Command::SaveRows);
  auto takeIntegers = [&](const char *name, const int64_t *from) {
    tensors.setIntegers(name, {from, from + tensors[name].shape[0]});
  };
  takeIntegers("counts", mailbox->counts(rank.index));
  takeIntegers("offsets", mailbox->offsets(rank.index));
  // More rows than there is room for are wrong, and `offsets` shows it.
  const int64_t numRows =
      mailbox->offsets(rank.index)[mailbox->shape().maxLocalExperts()];
  const int64_t bytes = std::min(numRows * mailbox->shape().bytesPerRow(),
                                 tensors.numBytes("rows"));
  std::copy_n(mailbox->expertRows(rank.index), bytes, tensors.data("rows"));
}

void ProcessBaseline::getResult(Rank &rank, Tensors &tensors) {
  run(rank, baseline::Command::SaveResult);
  std::copy_n(mailbox->tokenRows(rank.index), tensors.numBytes("out"),
              tensors.data("out"));
}

//===--- Commands ---------------------------------------------------------===//

Span ProcessBaseline::time(Rank &rank, baseline::Command command) {
  run(rank, command);
  const baseline::Mailbox::Rank &times = mailbox->rank(rank.index);
  return {times.startUs, times.endUs};
}

void ProcessBaseline::run(Rank &rank, baseline::Command command) {
  const uint64_t round = rounds; // changes only while all ranks are in here
  rank.meet();
  if (rank.index != 0) {
    if (!rank.isAlone())
      awaitRound(round);
  } else {
    try {
      job->run(command);
    } catch (...) {
      endRound();
      throw;
    }
    endRound();
  }
  rank.meet(); // or the end of all, if rank 0 has failed
}

void ProcessBaseline::endRound() {
  std::lock_guard<std::mutex> lock(mutex);
  ++rounds;
  ended.notify_all();
}

void ProcessBaseline::awaitRound(uint64_t round) {
  std::unique_lock<std::mutex> lock(mutex);
  ended.wait(lock, [&] { return rounds != round; });
}

} // namespace fusco::run
