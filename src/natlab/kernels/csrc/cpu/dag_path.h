// The recurrence of best paths through a graph; see natlab/kernels/dag_best_path.py.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dag.h"
#include "natlab.h"

namespace natlab {

// to[c] = max(to[c], max_r (a[r] + p[r, c])), over ROWS rows
template <typename T>
void add_and_maximise(const T* p, int64_t p_width, const T* a, T* to, int64_t size) {
  for (int64_t r = 0; r < ROWS; r += 4) {
    const T a0 = a[r], a1 = a[r + 1], a2 = a[r + 2], a3 = a[r + 3];
    const T *p0 = p + r * p_width, *p1 = p0 + p_width, *p2 = p1 + p_width, *p3 = p2 + p_width;
#pragma omp simd
    for (int64_t c = 0; c < size; ++c) {
      const T left = greater_of(a0 + p0[c], a1 + p1[c]), right = greater_of(a2 + p2[c], a3 + p3[c]);
      to[c] = greater_of(to[c], greater_of(left, right));
    }
  }
}

// The scores `row` [width] of the best paths to the vertices in `inside`, which emit there, by those of one vertex less
// (`before`, of vertices in `from`); -inf elsewhere.
template <typename T>
void best_step(const Packed<T>& packed, const T* before, Window from, const T* emission, Window inside, T* row,
               int64_t width) {
  std::fill(row, row + width, -infinity<T>);
  for (int64_t i = from.first / ROWS * ROWS; i <= from.last; i += ROWS) {
    add_and_maximise(packed.rows(i), packed.width, before + i, row + i, packed.columns(i, inside.last, width));
  }
  std::fill(row, row + inside.first, -infinity<T>);
  for (int64_t j = inside.first; j <= inside.last; ++j) row[j] += emission[j];
  std::fill(row + inside.last + 1, row + width, -infinity<T>);
}

// The first of the best predecessors of vertex j.
template <typename T>
int64_t predecessor(const Packed<T>& packed, const T* before, Window from, int64_t j) {
  int64_t best = -1;
  T most = -infinity<T>;
  for (int64_t i = std::max(from.first, j - packed.reach); i <= std::min(from.last, j - 1); ++i) {
    const T score = before[i] + packed.row(i)[j];
    if (score > most) most = score, best = i;
  }
  return best;
}

}  // namespace natlab
