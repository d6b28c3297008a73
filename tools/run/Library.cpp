//===- Library.cpp - A library made by fusco-compile, opened --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// dlopen, the checks that must come before any call, and the checks of the
/// programs' signatures.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Library.h"

#include "dialect/Layout.h"

#include "tools/common/Error.h"
#include "tools/common/Input.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <map>

namespace fusco::run {
namespace {

/// Throws unless every segment that the loader would map lies in the file. The
/// loader does not look, and a truncated library then kills the process.
void requireWholeElf(const std::string &path) {
  Input input(path);
  std::ifstream &file = input.stream;
  Elf64_Ehdr header;
  if (!file.read(reinterpret_cast<char *>(&header), sizeof header) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64)
    throw Error(fmt::format("'{}' is not a shared library; make one with "
                            "fusco-compile",
                            path));
  for (int i = 0; i != header.e_phnum; ++i) {
    Elf64_Phdr segment;
    file.seekg(std::streamoff(header.e_phoff) +
               i * std::streamoff(sizeof segment));
    if (!file.read(reinterpret_cast<char *>(&segment), sizeof segment) ||
        segment.p_offset > input.bytes ||
        segment.p_filesz > input.bytes - segment.p_offset)
      throw Error(fmt::format("library '{}' is cut off after {} bytes; compile "
                              "or copy it again",
                              path, input.bytes));
  }
}

std::shared_ptr<void> openObject(const std::string &path) {
  requireWholeElf(path);
  // A name without a slash would be looked for in the system's folders.
  std::string file = path.find('/') == path.npos ? "./" + path : path;
  void *object = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!object)
    throw Error(fmt::format("cannot open library '{}': {}", path, dlerror()));
  return std::shared_ptr<void>(object, dlclose);
}

template <typename Function>
void resolve(void *object, const std::string &path, const char *name,
             Function &function) {
  function = reinterpret_cast<Function>(dlsym(object, name));
  if (!function)
    throw Error(fmt::format("'{}' is not a fusco library: it lacks the symbol "
                            "{}; make one with fusco-compile",
                            path, name));
}

/// Checks what must hold before any function of the library may be called.
void requireOurAbi(const fusco_library *library, const std::string &path) {
  const fusco_library_info *info = library ? library->info : nullptr;
  if (!info || info->magic != FUSCO_LIBRARY_MAGIC)
    throw Error(fmt::format("'{}' does not describe itself as a fusco library; "
                            "make one with fusco-compile",
                            path));
  if (info->abiVersion != FUSCO_ABI_VERSION)
    throw Error(fmt::format("library '{}' has ABI version {}, this fusco-run "
                            "speaks {}; recompile it",
                            path, info->abiVersion, FUSCO_ABI_VERSION));
  if (info->size != sizeof(fusco_library_info))
    throw Error(fmt::format("library '{}' describes itself in {} bytes, this "
                            "fusco-run expects {}; recompile it",
                            path, info->size, sizeof(fusco_library_info)));
}

RuntimeApi resolveApi(void *object, const std::string &path) {
  RuntimeApi api;
  resolve(object, path, "fusco_status_name", api.statusName);
  resolve(object, path, "fusco_last_error", api.lastError);
  resolve(object, path, "fusco_domain_join", api.domainJoin);
  resolve(object, path, "fusco_domain_destroy", api.domainDestroy);
  resolve(object, path, "fusco_domain_rank", api.domainRank);
  resolve(object, path, "fusco_domain_device", api.domainDevice);
  resolve(object, path, "fusco_domain_allgather", api.domainAllgather);
  resolve(object, path, "fusco_domain_status", api.domainStatus);
  resolve(object, path, "fusco_domain_abort", api.domainAbort);
  resolve(object, path, "fusco_context_create", api.contextCreate);
  resolve(object, path, "fusco_context_destroy", api.contextDestroy);
  resolve(object, path, "fusco_context_rank", api.contextRank);
  resolve(object, path, "fusco_context_synchronize", api.contextSynchronize);
  resolve(object, path, "fusco_context_take_events", api.contextTakeEvents);
  resolve(object, path, "fusco_plan_create", api.planCreate);
  resolve(object, path, "fusco_plan_destroy", api.planDestroy);
  resolve(object, path, "fusco_plan_get_info", api.planGetInfo);
  resolve(object, path, "fusco_tensor_create", api.tensorCreate);
  resolve(object, path, "fusco_copy_to_device", api.copyToDevice);
  resolve(object, path, "fusco_copy_to_host", api.copyToHost);
  resolve(object, path, "fusco_launch_threads", api.launchThreads);
  resolve(object, path, "fusco_program_run", api.programRun);
  return api;
}

std::string typeText(int code, int bits) {
  switch (code) {
  case kDLInt:
    return fmt::format("i{}", bits);
  case kDLUInt:
    return fmt::format("u{}", bits);
  case kDLFloat:
    return fmt::format("f{}", bits);
  case kDLBfloat:
    return fmt::format("bf{}", bits);
  case FUSCO_DTYPE_FLOAT8_E4M3FN:
    return "f8E4M3FN";
  case FUSCO_DTYPE_FLOAT8_E5M2:
    return "f8E5M2";
  default:
    return fmt::format("dtype {}:{}", code, bits);
  }
}

std::string specText(const fusco_tensor_spec &spec) {
  std::string shape;
  for (int i = 0; i < spec.ndim && i < FUSCO_MAX_DIMS; ++i)
    shape +=
        fmt::format("{}{}", i ? "x" : "",
                    spec.shape[i] < 0 ? "?" : std::to_string(spec.shape[i]));
  return fmt::format("{} {}[{}]", spec.isOutput ? "output" : "input",
                     typeText(spec.dtypeCode, spec.dtypeBits), shape);
}

std::optional<reference::ElementType> elementTypeOf(int code, int bits) {
  using reference::ElementType;
  for (ElementType type :
       {ElementType::BF16, ElementType::F16, ElementType::F32,
        ElementType::F8E4M3FN, ElementType::F8E5M2})
    if (nameOf(type) == typeText(code, bits))
      return type;
  return std::nullopt;
}

/// The first tensor that has one of \p names; null if there is none. That the
/// others agree is checked with the rest of their signatures.
const fusco_tensor_spec *findTensor(const fusco_library_info &info,
                                    const std::vector<std::string> &names) {
  for (int program = 0; program != info.numPrograms; ++program)
    for (int i = 0; i != info.programs[program].numTensors; ++i) {
      const fusco_tensor_spec &spec = info.programs[program].tensors[i];
      if (std::find(names.begin(), names.end(), keyOf(spec)) != names.end())
        return &spec;
    }
  return nullptr;
}

/// The type of that tensor, \p otherwise if there is none or no row can have
/// it.
reference::ElementType typeOfTensors(const fusco_library_info &info,
                                     const std::vector<std::string> &names,
                                     reference::ElementType otherwise) {
  const fusco_tensor_spec *spec = findTensor(info, names);
  if (!spec)
    return otherwise;
  return elementTypeOf(spec->dtypeCode, spec->dtypeBits).value_or(otherwise);
}

/// How rows of \p rowType are quantised whose scales are the tensor \p name;
/// they are not where there is none. Of scales that are only moved, what counts
/// is how many there are.
std::optional<reference::Quantization>
quantizationOf(const fusco_library_info &info, const char *name,
               reference::ElementType rowType) {
  using reference::Quantization;
  const fusco_tensor_spec *scales = findTensor(info, {name});
  if (!scales)
    return std::nullopt;
  const bool isFloat = scales->dtypeCode == kDLFloat;
  int64_t block = scales->scaledColumns;
  if (block < 1) {
    const fusco_tensor_spec *tokens = findTensor(info, {tokenScales});
    if (!tokens || tokens->ndim != 2 || tokens->shape[1] < 1)
      return std::nullopt;
    const int64_t most = tokens->shape[1] * (isFloat ? 1 : 4); // to a row
    block = (info.hidden + most - 1) / most;
  }
  return Quantization{rowType, block,
                      isFloat ? Quantization::ScaleType::F32
                              : Quantization::ScaleType::UE8M0};
}

reference::Shape shapeOf(const fusco_library_info &info,
                         const std::string &path) {
  reference::Shape shape;
  shape.nodes = info.numNodes;
  shape.ranksPerNode = info.ranksPerNode;
  shape.experts = info.numExperts;
  shape.hasTable = info.hasTable != 0;
  shape.redundantExperts = info.numRedundant;
  shape.topk = info.topk;
  shape.hidden = info.hidden;
  shape.alignRows = info.alignRows;
  shape.capacityRows = info.capacityRows;
  shape.dropsOverflow = info.dropsOverflow != 0;
  shape.weighted = info.isWeighted != 0;
  shape.isRankMajor = info.isRankMajor != 0;
  if (shape.nodes < 1 || shape.ranksPerNode < 1 || shape.experts < 1 ||
      shape.redundantExperts < 0 || shape.topk < 1 || shape.hidden < 1 ||
      shape.alignRows < 1 || shape.capacityRows < 0 || info.maxTokens < 0 ||
      info.numPrograms < 0 || info.numPrograms > FUSCO_MAX_PROGRAMS)
    throw Error(fmt::format("library '{}' describes an impossible shape; "
                            "recompile it",
                            path));
  const auto rowType = elementTypeOf(info.dtypeCode, info.dtypeBits);
  if (!rowType)
    throw Error(fmt::format("library '{}' moves rows of {}; this fusco-run can "
                            "check bf16, f16, f32, f8E4M3FN and f8E5M2",
                            path, typeText(info.dtypeCode, info.dtypeBits)));
  shape.rowType = *rowType;
  shape.tokenType = typeOfTensors(info, {"x", "dx"}, *rowType);
  shape.resultType = typeOfTensors(info, {"out", "dout"}, shape.tokenType);
  shape.outputType = typeOfTensors(info, {"y", "dy"}, *rowType);
  shape.summandType =
      typeOfTensors(info, {"bias", "residual"}, shape.tokenType);
  shape.quantization = quantizationOf(info, "scales", *rowType);
  shape.isInputQuantized =
      shape.quantization && findTensor(info, {tokenScales}) != nullptr;
  shape.hasScalesByColumns =
      shape.quantization && findTensor(info, {"scales"})->isByColumns != 0;
  shape.outputQuantization =
      quantizationOf(info, outputScales, shape.outputType);
  if (info.partialBits == 16)
    shape.partialType = reference::ElementType::BF16;
  shape.hasBias = findTensor(info, {"bias"}) != nullptr;
  shape.hasResidual = findTensor(info, {"residual"}) != nullptr;
  shape.hasGlobalIds = findTensor(info, {"row_ids"}) != nullptr;
  shape.hasRowWeights =
      !shape.isRankMajor && findTensor(info, {"row_weights"}) != nullptr;
  shape.hasReady = findTensor(info, {"ready"}) != nullptr;
  return shape;
}

/// What the tensors that programs have must be, by name.
std::map<std::string, std::string> knownTensors(const fusco_library_info &info,
                                                const reference::Shape &shape) {
  const int64_t local = shape.isRankMajor ? 1 : shape.maxLocalExperts();
  const BlockPlacement placement{shape.numPhysicalExperts(), shape.numRanks()};
  const int64_t tiles = maxTiles(placement, info.maxTokens, shape.topk,
                                 shape.alignRows, shape.capacityRows);
  auto expertTable = [&](const char *direction, reference::ElementType type,
                         int64_t columns) {
    if (shape.capacityRows == 0)
      return fmt::format("{} {}[?x{}]", direction, nameOf(type), columns);
    return fmt::format("{} {}[{}x{}x{}]", direction, nameOf(type), local,
                       shape.capacityRows, columns);
  };
  auto expertRows = [&](const char *direction, reference::ElementType type) {
    return expertTable(direction, type, shape.hidden);
  };
  auto scales = [&](const char *direction,
                    const std::optional<reference::Quantization> &how) {
    return how ? expertTable(direction, how->scaleElement(),
                             how->scaleColumns(shape.hidden))
               : std::string();
  };
  std::string dispatchedScales = scales("output", shape.quantization),
              takenScales;
  if (shape.isInputQuantized)
    takenScales = fmt::format("input {}[?x{}]",
                              nameOf(shape.quantization->scaleElement()),
                              shape.quantization->scaleColumns(shape.hidden));
  if (shape.hasScalesByColumns) {
    const int64_t columns = shape.quantization->scaleColumns(shape.hidden);
    const std::string element = nameOf(shape.quantization->scaleElement());
    dispatchedScales = shape.capacityRows == 0
                           ? fmt::format("output {}[{}x?]", element, columns)
                           : fmt::format("output {}[{}x{}x{}]", element, local,
                                         columns, shape.capacityRows);
  }
  auto rows = [&](const char *direction, reference::ElementType type) {
    return fmt::format("{} {}[?x{}]", direction, nameOf(type), shape.hidden);
  };
  return {
      {"x", rows("input", shape.tokenType)},
      {tokenScales, takenScales},
      {"ids", fmt::format("input i{}[?x{}]", int(info.idBits), shape.topk)},
      {"weights", fmt::format("input f32[?x{}]", shape.topk)},
      {"placement", fmt::format("input i32[{}]", shape.numPhysicalExperts())},
      {"rows", expertRows("output", shape.rowType)},
      {"scales", dispatchedScales},
      {"local_ids",
       fmt::format("output i{}[?x{}]", int(info.idBits), shape.topk)},
      {"row_ids",
       fmt::format("output i{}[?x{}]", int(info.idBits), shape.topk)},
      {"row_weights", expertTable("output", reference::ElementType::F32,
                                  shape.isRankMajor ? shape.topk : 1)},
      {"ready", fmt::format("output i32[{}]", 1 + tiles)},
      {"kept_ids",
       fmt::format("output i{}[?x{}]", int(info.idBits), shape.topk)},
      {"counts", fmt::format("output i32[{}]", local)},
      {"offsets", fmt::format("output i32[{}]", local + 1)},
      {"y", expertRows("input", shape.outputType)},
      {outputScales, scales("input", shape.outputQuantization)},
      {"bias",
       fmt::format("input {}[1x{}]", nameOf(shape.addedType()), shape.hidden)},
      {"residual", rows("input", shape.addedType())},
      {"out", rows("output", shape.combinedType())},
      // The backward.
      {"dout", rows("input", shape.combinedType())},
      {"dy", rows("output", shape.outputType)},
      {"dweights", fmt::format("output f32[?x{}]", shape.topk)},
      {"drows", rows("input", shape.rowGradientType())},
      {"dx", rows("output", shape.tokenType)},
      // What lies between the steps of an unfused program.
      {"send", rows("output", shape.rowType)},
      {"recv", rows("output", shape.rowType)},
      {"send_back", rows("output", shape.outputType)},
      {"recv_back", rows("output", shape.outputType)},
  };
}

} // namespace

Library::Library(const std::string &path)
    : libraryPath(path), object(openObject(path)) {
  fusco_library_get_fn get;
  resolve(object.get(), path, "fusco_library_get", get);
  library = get();
  requireOurAbi(library, path);
  functions = resolveApi(object.get(), path);
  modelShape = shapeOf(info(), path);
}

int Library::findProgram(const std::string &name) const {
  int index = 0;
  while (index != info().numPrograms && name != program(index).name)
    ++index;
  if (index == info().numPrograms)
    return -1;
  const auto known = knownTensors(info(), shape());
  for (int i = 0; i != program(index).numTensors; ++i) {
    const fusco_tensor_spec &spec = program(index).tensors[i];
    auto expected = known.find(keyOf(spec));
    if (expected == known.end())
      throw Error(fmt::format("program '{}' of '{}' has a tensor '{}', which "
                              "this fusco-run does not know; it runs what "
                              "fusco-import of its version describes",
                              name, libraryPath, spec.name));
    // Counts and offsets may be 64 bits wide.
    std::string got = specText(spec), wide = got;
    if (size_t at = wide.find("output i64"); at != wide.npos)
      wide.replace(at, 10, "output i32");
    if (expected->second != got && expected->second != wide)
      throw Error(
          fmt::format("tensor '{}' of program '{}' of '{}' should be {}, "
                      "is {}; use the fusco-run of the compiler's "
                      "version",
                      spec.name, name, libraryPath, expected->second, got));
  }
  return index;
}

void Library::requireTensors(int index,
                             const std::vector<std::string> &names) const {
  const fusco_program_info &info = program(index);
  for (const std::string &name : names)
    if (std::none_of(info.tensors, info.tensors + info.numTensors,
                     [&](auto &spec) { return name == spec.name; }))
      throw Error(
          fmt::format("program '{}' of '{}' has no tensor '{}'; use the "
                      "fusco-run of the compiler's version",
                      info.name, libraryPath, name));
}

Shuffle Library::findBoth(const std::string &suffix) const {
  Shuffle shuffle = {findProgram("dispatch" + suffix),
                     findProgram("combine" + suffix)};
  if (shuffle.dispatch >= 0 && shuffle.combine >= 0)
    return shuffle;
  std::string names;
  for (int i = 0; i != info().numPrograms; ++i)
    names += fmt::format("{}'{}'", i ? ", " : "", program(i).name);
  throw Error(fmt::format("library '{0}' has no programs 'dispatch{1}' and "
                          "'combine{1}', only: {2}",
                          libraryPath, suffix, names));
}

Shuffle Library::findShuffle(const std::string &suffix) const {
  Shuffle shuffle = findBoth(suffix);
  requireTensors(shuffle.dispatch, {"x", "ids", "rows"});
  if (shape().quantization)
    requireTensors(shuffle.dispatch, {"scales"});
  if (shape().isInputQuantized)
    requireTensors(shuffle.dispatch, {tokenScales});
  if (shape().takesWeights())
    requireTensors(shuffle.dispatch, {"weights"});
  if (shape().hasTable)
    requireTensors(shuffle.dispatch, {"placement"});
  if (shape().isRankMajor)
    requireTensors(
        shuffle.dispatch,
        {shape().hasGlobalIds ? "row_ids" : "local_ids", "row_weights"});
  requireTensors(shuffle.combine, {"y", "out"});
  if (shape().outputQuantization)
    requireTensors(shuffle.combine, {"scales"});
  if (shape().hasBias)
    requireTensors(shuffle.combine, {"bias"});
  if (shape().hasResidual)
    requireTensors(shuffle.combine, {"residual"});
  return shuffle;
}

std::optional<Shuffle> Library::findBackward() const {
  if (findProgram("dispatch_backward") < 0 &&
      findProgram("combine_backward") < 0)
    return std::nullopt;
  Shuffle backward = findBoth("_backward");
  requireTensors(backward.dispatch, {"drows", "dx"});
  requireTensors(backward.combine, {"dout", "dy"});
  if (shape().weighted)
    requireTensors(backward.combine, {"y", "dweights"});
  return backward;
}

std::string keyOf(const fusco_tensor_spec &spec) {
  const std::string name = spec.name;
  return name == "scales" && !spec.isOutput ? outputScales : name;
}

std::string nameOf(reference::ElementType type) {
  switch (type) {
  case reference::ElementType::BF16:
    return "bf16";
  case reference::ElementType::F16:
    return "f16";
  case reference::ElementType::F8E4M3FN:
    return "f8E4M3FN";
  case reference::ElementType::F8E5M2:
    return "f8E5M2";
  case reference::ElementType::I32:
    return "i32";
  case reference::ElementType::F32:
    break;
  }
  return "f32";
}

} // namespace fusco::run
