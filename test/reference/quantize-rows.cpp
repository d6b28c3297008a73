//===- quantize-rows.cpp - Quantises a file of rows -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Usage: fusco-quantize-rows TYPE BLOCK SCALE FROM HIDDEN IN OUT-DATA
/// OUT-SCALES
///
/// Quantises the rows of the raw file IN, of HIDDEN elements of type FROM
/// (bf16, f16 or f32), to TYPE (e4m3fn or e5m2) with one scale (f32 or ue8m0)
/// per BLOCK columns, with quantizeRow(), for quantize.test to compare. Writes
/// elements and scales as raw files.
//
//===----------------------------------------------------------------------===//
#include "tools/reference/Quantize.h"

#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

using namespace fusco::reference;

namespace {

using Bytes = std::vector<uint8_t>;

Bytes readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw std::runtime_error("cannot read " + path);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

void writeFile(const std::string &path, const Bytes &bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char *>(bytes.data()),
             std::streamsize(bytes.size()));
  if (!file.flush())
    throw std::runtime_error("cannot write " + path);
}

void run(char **args) {
  const std::map<std::string, ElementType> types = {
      {"e4m3fn", ElementType::F8E4M3FN}, {"e5m2", ElementType::F8E5M2},
      {"bf16", ElementType::BF16},       {"f16", ElementType::F16},
      {"f32", ElementType::F32},
  };
  const std::map<std::string, Quantization::ScaleType> scaleTypes = {
      {"f32", Quantization::ScaleType::F32},
      {"ue8m0", Quantization::ScaleType::UE8M0},
  };
  const Quantization quantization = {types.at(args[0]), std::stoll(args[1]),
                                     scaleTypes.at(args[2])};
  const ElementType from = types.at(args[3]);
  const int64_t hidden = std::stoll(args[4]);
  const Bytes in = readFile(args[5]);

  const size_t bytesPerRow = size_t(hidden * bytesPerElement(from));
  const size_t bytesOfScales = size_t(quantization.bytesOfScalesPerRow(hidden));
  const size_t rows = in.size() / bytesPerRow;
  // Not zeros, so that a byte that is not written shows.
  Bytes data(rows * size_t(hidden), 0xFF), scales(rows * bytesOfScales, 0xFF);
  for (size_t row = 0; row != rows; ++row)
    quantizeRow(quantization, from, hidden, &in[row * bytesPerRow],
                &data[row * size_t(hidden)], &scales[row * bytesOfScales]);
  writeFile(args[6], data);
  writeFile(args[7], scales);
}

} // namespace

int main(int argc, char **argv) {
  try {
    if (argc != 9)
      throw std::runtime_error("expected 8 arguments");
    run(argv + 1);
    return 0;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "fusco-quantize-rows: error: %s\n", error.what());
    return 1;
  }
}
