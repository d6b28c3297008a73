//===- SyntheticRouting.cpp - Routing with measured loads -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The model, in three steps:
///
/// 1. Popularity: expert number i of a random order has rate (i + 1)^-a.
/// 2. A token gives every expert a clock that rings after an exponential time
/// of
///    the expert's rate, and takes the topk whose clocks ring first: drawing
///    without replacement. Expert e is then taken with a probability close to
///    p(e) = 1 - exp(-rate(e) * t), where t makes these sum to topk. The
///    exponent a is found such that the largest p is skew times their mean.
/// 3. The next token keeps each clock with probability c and sets it anew
///    otherwise. Every token then has the same distribution, and neighbours
///    share about c * topk + (1 - c) * sum p^2 experts where independent tokens
///    share sum p^2; c is chosen by the measured ratio of the two.
//
//===----------------------------------------------------------------------===//
#include "tools/run/SyntheticRouting.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace fusco::run {
namespace {

/// Gives a ratio of about 3.7, the middle of what was measured on real models,
/// 3 to 4.5: the estimate of step 3 is somewhat high.
constexpr double neighbourAgreement = 4.4;

using Vector = std::vector<double>;

Vector ratesOf(int64_t experts, double exponent) {
  Vector rates;
  for (int64_t i = 0; i != experts; ++i)
    rates.push_back(std::pow(double(i + 1), -exponent));
  return rates;
}

/// Where the increasing function \p f crosses zero between two bounds.
template <typename Function>
double bisect(double low, double high, Function f) {
  for (int step = 0; step != 60; ++step) {
    double middle = (low + high) / 2;
    (f(middle) < 0 ? low : high) = middle;
  }
  return low;
}

/// The probability that a token takes each expert, see step 2.
Vector probabilitiesOf(const Vector &rates, double topk) {
  auto probability = [](double rate, double logTime) {
    return -std::expm1(-rate * std::exp(logTime));
  };
  double logTime = bisect(-40, 100, [&](double logTime) {
    double sum = 0;
    for (double rate : rates)
      sum += probability(rate, logTime);
    return sum - topk;
  });
  Vector result;
  for (double rate : rates)
    result.push_back(probability(rate, logTime));
  return result;
}

} // namespace

std::vector<int64_t> drawRouting(int64_t experts, int topk, int64_t tokens,
                                 double skew, Random random) {
  const size_t numExperts = size_t(experts);
  const size_t numTaken = size_t(std::min<int64_t>(topk, experts));
  const double mean = double(numTaken) / double(experts);

  double exponent = bisect(0, 8, [&](double exponent) {
    Vector p = probabilitiesOf(ratesOf(experts, exponent), double(numTaken));
    return p.front() - std::min(skew * mean, 0.99);
  });
  const Vector rates = ratesOf(experts, exponent);
  const Vector p = probabilitiesOf(rates, double(numTaken));
  const double shared = std::inner_product(p.begin(), p.end(), p.begin(), 0.0);
  const double keep = std::clamp((neighbourAgreement - 1) * shared /
                                     std::max(double(numTaken) - shared, 1e-9),
                                 0.0, 0.95);

  std::vector<int64_t> expertAt(numExperts); // by popularity
  std::iota(expertAt.begin(), expertAt.end(), 0);
  for (size_t i = numExperts; i > 1; --i)
    std::swap(expertAt[i - 1], expertAt[random.below(i)]);

  auto ringAfter = [&](size_t i) {
    return -std::log(random.fraction()) / rates[i];
  };
  Vector clocks;
  for (size_t i = 0; i != numExperts; ++i)
    clocks.push_back(ringAfter(i));
  std::vector<size_t> order(numExperts);
  std::vector<int64_t> ids(size_t(tokens) * size_t(topk), -1);
  for (size_t token = 0; token != size_t(tokens); ++token) {
    for (size_t i = 0; i != numExperts; ++i)
      if (random.fraction() > keep)
        clocks[i] = ringAfter(i);
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + std::ptrdiff_t(numTaken),
                      order.end(), [&](size_t left, size_t right) {
                        return clocks[left] < clocks[right];
                      });
    for (size_t k = 0; k != numTaken; ++k)
      ids[token * size_t(topk) + k] = expertAt[order[k]];
  }
  return ids;
}

std::vector<int64_t> dealRouting(int64_t experts, int topk, int64_t tokens) {
  const int64_t numTaken = std::min<int64_t>(topk, experts);
  std::vector<int64_t> ids(size_t(tokens) * size_t(topk), -1);
  for (int64_t i = 0; i != tokens * numTaken; ++i)
    ids[size_t(i / numTaken * topk + i % numTaken)] = i % experts;
  return ids;
}

} // namespace fusco::run
