// Random numbers that are functions of a counter: the same on every device, in any order.
#pragma once

#include <cstdint>

#include "natlab.h"

namespace natlab {

// The output function of SplitMix64 (Steele et al. 2014, with Stafford's constants).
NATLAB_BOTH inline uint64_t mixed(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
  return bits ^ (bits >> 31);
}

// From [0, 1), a multiple of 2^-53: number `low` of stream `high` of a seed.
NATLAB_BOTH inline double uniform(int64_t seed, int64_t high, int64_t low) {
  const uint64_t counter = (static_cast<uint64_t>(high) << 32) + static_cast<uint64_t>(low) + 1;
  const uint64_t bits = mixed(mixed(static_cast<uint64_t>(seed)) + counter * 0x9e3779b97f4a7c15u);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace natlab
