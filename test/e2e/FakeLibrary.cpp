//===- FakeLibrary.cpp - A library to test fusco-run with -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Looks like what fusco-compile makes, but computes with the reference
/// interpreter: every rank collects the inputs of all and keeps its own part of
/// the result. The environment variable FUSCO_FAKE_FAULT makes one thing wrong,
/// so that a test can see fusco-run find it; FUSCO_FAKE_MODEL is a list of what
/// else the library shall be: `backward` has the programs of the backward,
/// `mixed` has three element types, `float8` quantised rows.
//
//===----------------------------------------------------------------------===//
#include "fusco/library.h"
#include "tools/reference/Reference.h"

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

using namespace fusco::reference;

namespace {

constexpr int numRanks = 4;

bool hasFault(const char *name) {
  const char *fault = std::getenv("FUSCO_FAKE_FAULT");
  return fault && std::string(fault) == name;
}

bool isModel(const char *name) {
  const char *model = std::getenv("FUSCO_FAKE_MODEL");
  return model && std::strstr(model, name);
}

Shape shapeOfModel() {
  Shape shape;
  shape.nodes = 2;
  shape.ranksPerNode = 2;
  shape.experts = 6;
  shape.topk = 3;
  shape.hidden = 5;
  shape.alignRows = 4;
  if (isModel("mixed")) {
    shape.tokenType = ElementType::F32;
    shape.rowType = ElementType::BF16;
    shape.outputType = ElementType::F16;
  }
  if (isModel("float8")) {
    shape.rowType = ElementType::F8E4M3FN;
    shape.quantization = {ElementType::F8E4M3FN, /*blockColumns=*/2,
                          Quantization::ScaleType::F32};
  }
  return shape;
}

/// The inputs of all ranks, kept by each rank from dispatch to combine in place
/// of a plan.
std::vector<RankInput> keptInputs[numRanks];

/// What a rank shows all ranks.
struct Shown {
  fusco_program_tensor x, ids, weights, y, dout, drows;
};

struct Heap {
  Shown own;
  Shown all[numRanks];     ///< by rank
  uint64_t came[numRanks]; ///< by rank: how many meetings it came to
  uint64_t meetings;       ///< to which this rank came
};

Heap &heapOf(const fusco_program_args *args) {
  return *reinterpret_cast<Heap *>(args->peers[args->rank]);
}

fusco_plan_stats &statsOf(const fusco_program_args *args) {
  return *reinterpret_cast<fusco_plan_stats *>(args->plan);
}

/// Shows all ranks what this one has, and waits until they have come as often.
/// Some are on another node, which only a put reaches.
int32_t meet(const fusco_program_args *args, fusco_phase phase) {
  Heap &heap = heapOf(args);
  ++heap.meetings;
  const auto shownAt =
      int64_t(offsetof(Heap, all)) + args->rank * int64_t(sizeof(Shown));
  const auto cameAt =
      int64_t(offsetof(Heap, came)) + args->rank * int64_t(sizeof(uint64_t));
  for (int peer = 0; peer != numRanks; ++peer)
    if (int32_t status = fusco_program_put(args, peer, shownAt, &heap.own,
                                           sizeof(Shown), cameAt))
      return status;
  for (int peer = 0; peer != numRanks; ++peer)
    if (int32_t status = fusco_program_wait(args, &heap.came[peer],
                                            heap.meetings, peer, phase))
      return status;
  return FUSCO_OK;
}

std::vector<RankInput> collectInputs(const fusco_program_args *args) {
  const Shape shape = shapeOfModel();
  std::vector<RankInput> inputs;
  for (int rank = 0; rank != numRanks; ++rank) {
    const Shown &shown = heapOf(args).all[rank];
    RankInput input;
    input.tokens = shown.x.rows;
    auto *ids = static_cast<const int32_t *>(shown.ids.data);
    auto *weights = static_cast<const float *>(shown.weights.data);
    auto *x = static_cast<const uint8_t *>(shown.x.data);
    input.ids.assign(ids, ids + input.tokens * shape.topk);
    input.weights.assign(weights, weights + input.tokens * shape.topk);
    input.x.assign(x, x + input.tokens * shape.bytesPerRow(shape.tokenType));
    inputs.push_back(std::move(input));
  }
  return inputs;
}

void fillStats(const RankInput &input, const RankDispatch &result,
               fusco_plan_stats &stats) {
  stats = {};
  stats.tokens = input.tokens;
  for (int64_t id : input.ids)
    stats.assignments += id >= 0;
  stats.rowsUniqueRank = result.rowsUniqueRank;
  stats.rowsUniqueNode = result.rowsUniqueNode + hasFault("plan");
  for (int64_t count : result.counts)
    stats.rowsReceived += count;
  stats.rowsPadded = result.offsets.back();
}

int32_t runDispatch(const fusco_program_args *args) {
  if (args->status)
    return fusco_program_fail(args, int32_t(args->status), 0, 0, 0);
  if (args->rank == 1 && hasFault("hang"))
    std::this_thread::sleep_for(std::chrono::seconds(3));
  Shown &own = heapOf(args).own;
  own.x = args->tensors[0];
  own.ids = args->tensors[1];
  own.weights = args->tensors[2];
  if (int32_t status = meet(args, FUSCO_PHASE_PLAN))
    return status;
  std::vector<RankInput> &inputs = keptInputs[args->rank];
  inputs = collectInputs(args);
  RankDispatch result = dispatch(shapeOfModel(), inputs)[size_t(args->rank)];
  fillStats(inputs[size_t(args->rank)], result, statsOf(args));

  auto *rows = static_cast<uint8_t *>(args->tensors[3].data);
  auto *counts = static_cast<int32_t *>(args->tensors[4].data);
  auto *offsets = static_cast<int32_t *>(args->tensors[5].data);
  std::copy(result.rows.begin(), result.rows.end(), rows);
  std::copy(result.counts.begin(), result.counts.end(), counts);
  std::copy(result.offsets.begin(), result.offsets.end(), offsets);
  const Shape shape = shapeOfModel();
  auto *scales = shape.quantization
                     ? static_cast<uint8_t *>(args->tensors[6].data)
                     : nullptr;
  std::copy(result.scales.begin(), result.scales.end(), scales);
  if (args->rank == 1) {
    const int64_t bytesPerRow = shape.bytesPerRow(shape.rowType);
    if (hasFault("row"))
      rows[2 * bytesPerRow + 3] ^= 0x80;
    if (hasFault("pad"))
      rows[result.rows.size() - 1] = 1;
    if (hasFault("guard"))
      rows[result.rows.size()] = 0;
    if (hasFault("scale")) // the lowest bit of row 1's last one
      scales[2 * shape.quantization->bytesOfScalesPerRow(shape.hidden) - 4] ^=
          1;
    if (hasFault("scale-pad"))
      scales[result.scales.size() - 1] = 1;
    if (hasFault("scale-guard"))
      scales[result.scales.size()] = 0;
    if (hasFault("counts"))
      ++counts[1];
    if (hasFault("offsets"))
      offsets[2] -= 4;
    if (hasFault("status"))
      return fusco_program_fail(args, FUSCO_INVALID_ROUTING, 7, 99, 0);
  }
  return meet(args, FUSCO_PHASE_ROWS);
}

/// Where all ranks' \p tensor is.
std::vector<const uint8_t *>
collectPointers(const fusco_program_args *args,
                fusco_program_tensor Shown::*tensor) {
  std::vector<const uint8_t *> pointers;
  for (int rank = 0; rank != numRanks; ++rank)
    pointers.push_back(
        static_cast<const uint8_t *>((heapOf(args).all[rank].*tensor).data));
  return pointers;
}

int32_t runCombine(const fusco_program_args *args) {
  if (args->status)
    return fusco_program_fail(args, int32_t(args->status), 0, 0, 0);
  heapOf(args).own.y = args->tensors[0];
  if (int32_t status = meet(args, FUSCO_PHASE_READY))
    return status;
  const bool isLate = hasFault("late"); // rank 0 reads y after others returned
  if (isLate && args->rank == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const Shape shape = shapeOfModel();
  const std::vector<RankInput> &inputs = keptInputs[args->rank];
  Bytes result = combine(shape, inputs, dispatch(shape, inputs),
                         collectPointers(args, &Shown::y))[size_t(args->rank)];
  auto *out = static_cast<uint8_t *>(args->tensors[1].data);
  std::copy(result.begin(), result.end(), out);
  if (args->rank == 3 && hasFault("out"))
    out[result.size() - 2] ^= 1; // the last element's lowest bit
  return isLate ? int32_t(FUSCO_OK) : meet(args, FUSCO_PHASE_COMBINE);
}

int32_t runDispatchBackward(const fusco_program_args *args) {
  if (args->status)
    return fusco_program_fail(args, int32_t(args->status), 0, 0, 0);
  heapOf(args).own.drows = args->tensors[0];
  if (int32_t status = meet(args, FUSCO_PHASE_READY))
    return status;
  const Shape shape = shapeOfModel();
  const std::vector<RankInput> &inputs = keptInputs[args->rank];
  const size_t rank = size_t(args->rank);
  const Bytes result =
      dispatchBackward(shape, inputs[rank], dispatch(shape, inputs)[rank].slots,
                       collectPointers(args, &Shown::drows));
  auto *dx = static_cast<uint8_t *>(args->tensors[1].data);
  std::copy(result.begin(), result.end(), dx);
  if (args->rank == 2 && hasFault("dx"))
    dx[0] ^= 1;
  return meet(args, FUSCO_PHASE_COMBINE);
}

int32_t runCombineBackward(const fusco_program_args *args) {
  if (args->status)
    return fusco_program_fail(args, int32_t(args->status), 0, 0, 0);
  heapOf(args).own.dout = args->tensors[0];
  heapOf(args).own.y = args->tensors[1];
  if (int32_t status = meet(args, FUSCO_PHASE_READY))
    return status;
  const std::vector<RankInput> &inputs = keptInputs[args->rank];
  const CombineGradient result = combineBackward(
      shapeOfModel(), int(args->rank), inputs, dispatch(shapeOfModel(), inputs),
      collectPointers(args, &Shown::dout), collectPointers(args, &Shown::y));
  auto *dy = static_cast<uint8_t *>(args->tensors[2].data);
  auto *dweights = static_cast<float *>(args->tensors[3].data);
  std::copy(result.dy.begin(), result.dy.end(), dy);
  std::copy(result.dweights.begin(), result.dweights.end(), dweights);
  if (args->rank == 1) {
    if (hasFault("dy"))
      dy[1] ^= 0x80;
    if (hasFault("dy-pad"))
      dy[result.dy.size() - 1] = 1;
    if (hasFault("dy-guard"))
      dy[result.dy.size()] = 0;
    if (hasFault("dweights")) // the lowest bit of one weight's gradient
      *static_cast<uint8_t *>(args->tensors[3].data) ^= 1;
  }
  return meet(args, FUSCO_PHASE_COMBINE);
}

fusco_tensor_spec spec(const char *name, uint8_t code, uint8_t bits,
                       bool isOutput, fusco_rows_kind kind, int64_t rows,
                       int64_t columns) {
  fusco_tensor_spec spec = {};
  std::strncpy(spec.name, name, FUSCO_NAME_BYTES - 1);
  spec.dtypeCode = code;
  spec.dtypeBits = bits;
  spec.isOutput = isOutput;
  spec.rowsKind = uint8_t(kind);
  spec.ndim = columns ? 2 : 1;
  spec.shape[0] = rows;
  spec.shape[1] = columns;
  return spec;
}

uint8_t codeOf(ElementType type) {
  return type == ElementType::BF16       ? uint8_t(kDLBfloat)
         : type == ElementType::F8E4M3FN ? uint8_t(FUSCO_DTYPE_FLOAT8_E4M3FN)
                                         : uint8_t(kDLFloat);
}

/// Rows of the model's hidden size.
fusco_tensor_spec rowsSpec(const char *name, ElementType type, bool isOutput,
                           fusco_rows_kind kind) {
  return spec(name, codeOf(type), uint8_t(8 * bytesPerElement(type)), isOutput,
              kind, -1, shapeOfModel().hidden);
}

void addProgram(fusco_library &library, fusco_library_info &info,
                const char *name, fusco_program_fn run,
                const std::vector<fusco_tensor_spec> &tensors) {
  library.programs[info.numPrograms] = run;
  fusco_program_info &program = info.programs[info.numPrograms++];
  std::strncpy(program.name, name, FUSCO_NAME_BYTES - 1);
  program.writesPlan = run == runDispatch;
  program.numTensors = int32_t(tensors.size());
  std::copy(tensors.begin(), tensors.end(), program.tensors);
}

fusco_library makeLibrary() {
  static fusco_library_info info = {};
  fusco_library library = {&info, nullptr, {}};
  const Shape shape = shapeOfModel();
  info.magic = hasFault("magic") ? 1 : FUSCO_LIBRARY_MAGIC;
  info.abiVersion = FUSCO_ABI_VERSION + hasFault("abi");
  info.size = sizeof info - hasFault("size");
  std::strcpy(info.model, "fake");
  std::strcpy(info.target, "cpu");
  info.cpuLevel = FUSCO_CPU_AVX2;
  info.numNodes = shape.nodes;
  info.ranksPerNode = shape.ranksPerNode;
  info.topk = shape.topk;
  info.numExperts = shape.experts;
  info.maxTokens = 64;
  info.hidden = shape.hidden;
  info.alignRows = shape.alignRows;
  info.dtypeCode = codeOf(shape.rowType);
  info.dtypeBits = uint8_t(8 * bytesPerElement(shape.rowType));
  info.idBits = 32;
  info.isWeighted = 1;
  info.symmetricBytes = sizeof(Heap);
  info.planBytes = 4096;
  // Numbered as phases are.
  for (const char *name : {"counts", "rows", "ready", "sums"}) {
    fusco_channel_info &channel = info.channels[info.numChannels];
    std::strcpy(channel.name, name);
    channel.phase = info.numChannels++;
  }
  info.planStatsBytes = 0;

  const int64_t local = shape.maxLocalExperts();
  std::vector<fusco_tensor_spec> dispatchTensors = {
      rowsSpec("x", shape.tokenType, false, FUSCO_ROWS_TOKENS),
      spec("ids", kDLInt, 32, false, FUSCO_ROWS_TOKENS, -1, shape.topk),
      spec("weights", kDLFloat, 32, false, FUSCO_ROWS_TOKENS, -1, shape.topk),
      rowsSpec("rows", shape.rowType, true, FUSCO_ROWS_EXPERT),
      spec("counts", kDLInt, 32, true, FUSCO_ROWS_STATIC, local, 0),
      spec("offsets", kDLInt, 32, true, FUSCO_ROWS_STATIC, local + 1, 0)};
  if (const auto &quantization = shape.quantization) {
    dispatchTensors.push_back(spec("scales", kDLFloat, 32, true,
                                   FUSCO_ROWS_EXPERT, -1,
                                   quantization->scaleColumns(shape.hidden)));
    dispatchTensors.back().scaledColumns = int32_t(quantization->blockColumns);
  }
  std::vector<fusco_tensor_spec> combineTensors = {
      rowsSpec("y", shape.outputType, false, FUSCO_ROWS_EXPERT),
      rowsSpec("out", shape.tokenType, true, FUSCO_ROWS_TOKENS)};
  const std::vector<fusco_tensor_spec> dispatchBackwardTensors = {
      rowsSpec("drows", shape.rowGradientType(), false, FUSCO_ROWS_EXPERT),
      rowsSpec("dx", hasFault("type") ? ElementType::F16 : shape.tokenType,
               true, FUSCO_ROWS_TOKENS)};
  const std::vector<fusco_tensor_spec> combineBackwardTensors = {
      rowsSpec("dout", shape.tokenType, false, FUSCO_ROWS_TOKENS),
      rowsSpec("y", shape.outputType, false, FUSCO_ROWS_EXPERT),
      rowsSpec("dy", shape.outputType, true, FUSCO_ROWS_EXPERT),
      spec("dweights", kDLFloat, 32, true, FUSCO_ROWS_TOKENS, -1, shape.topk)};
  if (hasFault("tensor"))
    dispatchTensors[4].dtypeBits = 8;
  addProgram(library, info, "dispatch", runDispatch, dispatchTensors);
  addProgram(library, info, "combine", runCombine, combineTensors);
  if (isModel("backward")) {
    addProgram(library, info, "dispatch_backward", runDispatchBackward,
               dispatchBackwardTensors);
    if (!hasFault("half"))
      addProgram(library, info, "combine_backward", runCombineBackward,
                 combineBackwardTensors);
  }
  if (hasFault("baseline"))
    return library;
  addProgram(library, info, "dispatch.unfused", runDispatch, dispatchTensors);
  addProgram(library, info, "combine.unfused", runCombine, combineTensors);
  return library;
}

} // namespace

extern "C" FUSCO_API const fusco_library *fusco_library_get(void) {
  static const fusco_library library = makeLibrary();
  return &library;
}
