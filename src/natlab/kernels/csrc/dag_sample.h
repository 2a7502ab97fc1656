// What sampling of graphs is on every device; see natlab/kernels/dag_sample.py.
#pragma once

#include <cmath>
#include <cstdint>

#include "natlab.h"
#include "random.h"

namespace natlab {

// Probabilities are summed as multiples of 1 / UNIT, so that sums do not depend on their order.
constexpr double UNIT = 0x1p36;

NATLAB_BOTH inline int64_t whole(double probability) { return static_cast<int64_t>(probability * UNIT + 0.5); }

// Successors in the order in which they are kept: by their mass (38 bits) and, of equal ones, the first vertex.
constexpr int VERTEX_BITS = 20;
constexpr int64_t MOST_VERTICES = int64_t{1} << VERTEX_BITS;
NATLAB_BOTH inline uint64_t key_of(int64_t mass, int64_t vertex) {
  return (static_cast<uint64_t>(mass) << VERTEX_BITS) + static_cast<uint64_t>(MOST_VERTICES - 1 - vertex);
}
NATLAB_BOTH inline int64_t mass_of(uint64_t key) { return static_cast<int64_t>(key >> VERTEX_BITS); }
NATLAB_BOTH inline int64_t vertex_of(uint64_t key) {
  return MOST_VERTICES - 1 - static_cast<int64_t>(key & (MOST_VERTICES - 1));
}

// How much of a row's mass is to be kept.
NATLAB_BOTH inline int64_t needed(int64_t total, double top_p) {
  const auto mass = static_cast<int64_t>(ceil(static_cast<double>(total) * top_p));
  return mass > 1 ? mass : 1;
}

// Which of `total` is drawn: the successor where the cumulative weight exceeds this is taken.
NATLAB_BOTH inline int64_t drawn(int64_t total, int64_t seed, int64_t hypothesis, int64_t vertex) {
  const auto at = static_cast<int64_t>(uniform(seed, hypothesis, vertex) * static_cast<double>(total));
  return at < total ? at : total - 1;
}

}  // namespace natlab
