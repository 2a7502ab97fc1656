// What sentence BLEU's code for CPU and CUDA shares; natlab/kernels/sentence_bleu.py has the definition.
#pragma once

#include <cmath>

#include "natlab.h"

namespace natlab {

constexpr int ORDERS = 4;

struct Pair {
  int64_t hypothesis, reference;
};

// Which rows: as given, or the p-th of all pairs within groups of n hypotheses and m references.
NATLAB_BOTH inline Pair pair_at(const int64_t* pairs, int64_t p, int64_t n, int64_t m) {
  if (pairs) return {pairs[2 * p], pairs[2 * p + 1]};
  return {p / m, p / m / n * m + p % m};
}

// BLEU, 0 to 100, of a hypothesis of length h with `correct` n-grams of each order, and a reference of length r.
NATLAB_BOTH inline double bleu(const int* correct, int64_t h, int64_t r) {
  double product = 1, smoothing = 1;
  bool matched = false;
  int order = 0;
  for (; order < ORDERS && order < h; ++order) {
    if (correct[order] == 0) smoothing *= 2;
    matched |= correct[order] > 0;
    product *= (correct[order] ? correct[order] : 1 / smoothing) / static_cast<double>(h - order);
  }
  if (!matched) return 0;
  const double brevity = h < r ? 1 - static_cast<double>(r) / static_cast<double>(h) : 0;
  return 100 * exp(brevity + log(product) / order);
}

}  // namespace natlab
