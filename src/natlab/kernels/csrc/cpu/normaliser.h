// A row of logits: its greatest, and log sum exp. Both are taken in `LANES` side by side, which the compiler keeps in vectors
// of any width, and which are put together in one order, so that every instruction level says the same.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <type_traits>
#include <vector>

#include "exponential.h"
#include "natlab.h"

namespace natlab {

constexpr int64_t LANES = 64;

// The row in the type it is summed in: itself, or `converted`.
template <typename T>
inline const accumulator<T>* as_accumulator(const T* row, int64_t size, std::vector<accumulator<T>>& converted) {
  if constexpr (std::is_same_v<T, accumulator<T>>) {
    return row;
  } else {
    for (int64_t v = 0; v < size; ++v) converted[v] = load(row[v]);
    return converted.data();
  }
}

// The greatest that is a number; minus infinity of none.
template <typename A>
inline A greatest_of(const A* row, int64_t size) {
  A lanes[LANES];
  std::fill_n(lanes, LANES, -infinity<A>);
  int64_t v = 0;
  for (; v + LANES <= size; v += LANES) {
    for (int64_t k = 0; k < LANES; ++k) lanes[k] = row[v + k] > lanes[k] ? row[v + k] : lanes[k];
  }
  for (int64_t k = 0; v < size; ++k, ++v) lanes[k] = row[v] > lanes[k] ? row[v] : lanes[k];
  return *std::max_element(lanes, lanes + LANES);
}

// The first of the row that is `value`; the last where none is.
template <typename A>
inline int64_t first_of(const A* row, int64_t size, A value) {
  int64_t v = 0;
  for (; v + LANES <= size; v += LANES) {
    int any = 0;
    for (int64_t k = 0; k < LANES; ++k) any |= row[v + k] == value;
    if (any) break;
  }
  while (v < size - 1 && row[v] != value) ++v;
  return v;
}

// log sum exp of a row in two parts, since large logits would round their sum: greatest + log_sum.
template <typename A>
struct Normaliser {
  A greatest, log_sum;
};

template <typename A>
constexpr Normaliser<A> IMPOSSIBLE = {-infinity<A>, 0};

template <typename A>
inline Normaliser<A> normaliser(const A* row, int64_t size) {
  const A greatest = greatest_of(row, size);
  if (greatest == -infinity<A>) return {std::accumulate(row, row + size, greatest), 0};  // nan where a logit is
  A lanes[LANES] = {};
  int64_t v = 0;
  for (; v + LANES <= size; v += LANES) {
    for (int64_t k = 0; k < LANES; ++k) lanes[k] += fast_exp(row[v + k] - greatest);
  }
  for (int64_t k = 0; v < size; ++k, ++v) lanes[k] += fast_exp(row[v] - greatest);
  return {greatest, std::log(std::accumulate(lanes, lanes + LANES, A(0)))};
}

}  // namespace natlab
