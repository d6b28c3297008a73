//===- combine-rows.cpp - Combines rows of files --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Usage: fusco-combine-rows NODES RANKS-PER-NODE TOPK HIDDEN TYPE BLOCK SCALE
/// PARTIALS OUT FOLDER
///
/// Combines, without weights, rows of HIDDEN elements of TYPE (e4m3fn, e5m2,
/// bf16 or f32), of which the former two have one scale (f32 or ue8m0) per
/// BLOCK columns, to rows of OUT (bf16 or f32), with PARTIALS (bf16 or f32) and
/// combineRank(), for combine.test to compare. FOLDER holds raw files: slots,
/// int32 [tokens, topk, 2] of rank and row; y.R and scales.R of each rank R;
/// bias and residual, of bf16. Writes out.
//
//===----------------------------------------------------------------------===//
#include "tools/reference/Reference.h"

#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

using namespace fusco::reference;

namespace {

Bytes readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw std::runtime_error("cannot read " + path);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

void run(char **args) {
  const std::map<std::string, ElementType> types = {
      {"e4m3fn", ElementType::F8E4M3FN},
      {"e5m2", ElementType::F8E5M2},
      {"bf16", ElementType::BF16},
      {"f32", ElementType::F32},
  };
  const std::map<std::string, Quantization::ScaleType> scaleTypes = {
      {"f32", Quantization::ScaleType::F32},
      {"ue8m0", Quantization::ScaleType::UE8M0},
  };
  Shape shape;
  shape.nodes = std::stoi(args[0]);
  shape.ranksPerNode = std::stoi(args[1]);
  shape.topk = std::stoi(args[2]);
  shape.hidden = std::stoll(args[3]);
  shape.outputType = types.at(args[4]);
  if (bytesPerElement(shape.outputType) == 1)
    shape.outputQuantization = Quantization{
        shape.outputType, std::stoll(args[5]), scaleTypes.at(args[6])};
  shape.partialType = types.at(args[7]);
  shape.resultType = types.at(args[8]);
  shape.weighted = false;
  shape.hasBias = shape.hasResidual = true;
  const std::string folder = std::string(args[9]) + "/";

  const Bytes table = readFile(folder + "slots");
  std::vector<int32_t> entries(table.size() / sizeof(int32_t));
  std::memcpy(entries.data(), table.data(), table.size());
  std::vector<Slot> slots;
  for (size_t i = 0; i + 1 < entries.size(); i += 2)
    slots.push_back({entries[i], entries[i + 1]});
  RankInput input;
  input.tokens = int64_t(slots.size()) / shape.topk;
  input.ids.assign(slots.size(), -1); // slots say where rows are
  input.bias = readFile(folder + "bias");
  input.residual = readFile(folder + "residual");
  input.x = input.residual; // of its shape, and not read

  std::vector<Bytes> y, scales;
  std::vector<const uint8_t *> yAt, scalesAt;
  for (int rank = 0; rank != shape.numRanks(); ++rank) {
    y.push_back(readFile(folder + "y." + std::to_string(rank)));
    scales.push_back(readFile(folder + "scales." + std::to_string(rank)));
    yAt.push_back(y.back().data());
    scalesAt.push_back(scales.back().data());
  }
  const Bytes out = combineRank(shape, input, slots, yAt, scalesAt);
  std::ofstream file(folder + "out", std::ios::binary);
  file.write(reinterpret_cast<const char *>(out.data()),
             std::streamsize(out.size()));
  if (!file.flush())
    throw std::runtime_error("cannot write " + folder + "out");
}

} // namespace

int main(int argc, char **argv) {
  try {
    if (argc != 11)
      throw std::runtime_error("expected 10 arguments");
    run(argv + 1);
    return 0;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "fusco-combine-rows: error: %s\n", error.what());
    return 1;
  }
}
