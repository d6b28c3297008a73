//===- Npy.cpp - Read-only .npy files -------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The header is parsed by xtensor. Its loader is not used: it takes the
/// lengths in the header on trust and reads them through signed chars.
//
//===----------------------------------------------------------------------===//
#include "tools/common/Npy.h"

#include "tools/common/Error.h"
#include "tools/common/Input.h"
#include "tools/reference/Float.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <xtensor/xnpy.hpp>

#include <cstring>
#include <limits>
#include <regex>

namespace fusco {
namespace {

constexpr uint64_t maxHeaderBytes = 10000; // numpy's own default

/// The header's text; leaves \p file at the first value.
std::string readHeader(std::istream &file, uint64_t fileBytes) {
  unsigned char major, minor;
  xt::detail::read_magic(file, &major, &minor);
  if ((major != 1 && major != 2) || minor != 0)
    throw std::runtime_error(fmt::format(
        "expected format 1.0 or 2.0, got {}.{}", int(major), int(minor)));
  unsigned char length[4] = {};
  file.read(reinterpret_cast<char *>(length), major == 1 ? 2 : 4);
  uint64_t headerBytes =
      length[0] | length[1] << 8 | length[2] << 16 | uint64_t(length[3]) << 24;
  if (!file || headerBytes > fileBytes)
    throw std::runtime_error("it ends inside its header");
  if (headerBytes > maxHeaderBytes)
    throw std::runtime_error(fmt::format(
        "its header has {} bytes, more than the {} that numpy reads",
        headerBytes, maxHeaderBytes));
  std::string header(headerBytes, '\0');
  if (!file.read(header.data(), std::streamsize(headerBytes)))
    throw std::runtime_error("it ends inside its header");
  return header;
}

/// The header that numpy writes, as the parser needs it: anything else leads it
/// astray.
bool isWellFormed(const std::string &header) {
  static const std::regex form(
      "\\{'descr': *'[^']*', *'fortran_order': *(True|False), *"
      "'shape': *\\([0-9, ]*\\),? *\\} *\n");
  return std::regex_match(header, form);
}

template <typename Value> Value load(const char *at) {
  Value value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

} // namespace

NpyArray::NpyArray(const std::string &path) {
  Input input(path);
  std::ifstream &file = input.stream;
  try {
    std::string header = readHeader(file, input.bytes);
    if (!isWellFormed(header))
      throw std::runtime_error("its header is not one that numpy.save writes "
                               "for an array of numbers");
    std::string type;
    bool isFortranOrder;
    xt::detail::parse_header(header, type, &isFortranOrder, extents);
    static const std::regex known("[<|][iu][1248]|<f[248]");
    if (!std::regex_match(type, known) || (type[0] == '|' && type[2] != '1'))
      throw std::runtime_error(fmt::format(
          "expected little-endian integers or floats, got dtype '{}'", type));
    if (isFortranOrder && extents.size() > 1)
      throw std::runtime_error("expected C order, got Fortran order; save "
                               "numpy.ascontiguousarray(a)");
    kind = type[1];
    bytesPerValue = size_t(type[2] - '0');
    // Compared by division, before anything is allocated: the product of what
    // a broken header says may overflow.
    const uint64_t valueBytes = input.bytes - uint64_t(file.tellg());
    bool isEmpty = std::count(extents.begin(), extents.end(), 0u) != 0;
    uint64_t numValues = isEmpty ? 0 : 1;
    for (size_t extent : extents) {
      if (!isEmpty && numValues > valueBytes / extent)
        throw std::runtime_error(
            fmt::format("it has {} bytes of values, fewer than its shape {} of "
                        "dtype '{}' needs",
                        valueBytes, shapeText(), type));
      numValues *= extent;
    }
    if (numValues * bytesPerValue != valueBytes)
      throw std::runtime_error(fmt::format(
          "its shape {} of dtype '{}' needs {} bytes of values, it has {}",
          shapeText(), type, numValues * bytesPerValue, valueBytes));
    bytes.resize(valueBytes);
    if (!file.read(bytes.data(), std::streamsize(valueBytes)))
      throw std::runtime_error("it cannot be read to its end");
  } catch (const std::runtime_error &error) {
    throw Error(
        fmt::format("cannot read '{}' as .npy: {}", path, error.what()));
  }
}

std::string NpyArray::shapeText() const { return fmt::format("{}", extents); }

int64_t NpyArray::integerAt(size_t index) const {
  const char *at = bytes.data() + index * bytesPerValue;
  bool isSigned = kind == 'i';
  switch (bytesPerValue) {
  case 1:
    return isSigned ? load<int8_t>(at) : load<uint8_t>(at);
  case 2:
    return isSigned ? load<int16_t>(at) : load<uint16_t>(at);
  case 4:
    return isSigned ? load<int32_t>(at) : int64_t(load<uint32_t>(at));
  default:
    break;
  }
  constexpr uint64_t largest = std::numeric_limits<int64_t>::max();
  return isSigned ? load<int64_t>(at)
                  : int64_t(std::min(load<uint64_t>(at), largest));
}

float NpyArray::floatAt(size_t index) const {
  const char *at = bytes.data() + index * bytesPerValue;
  switch (bytesPerValue) {
  case 2:
    return reference::widen(reference::ElementType::F16, load<uint16_t>(at));
  case 4:
    return load<float>(at);
  default:
    return float(load<double>(at));
  }
}

} // namespace fusco
