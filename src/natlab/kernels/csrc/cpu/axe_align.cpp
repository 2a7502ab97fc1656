// AXE's dynamic program; natlab/kernels/axe_align.py has the recurrence.

#include <algorithm>
#include <vector>

#include "axe.h"

using namespace natlab;

namespace {

// Algorithm 1 for one sentence of n targets and m predictions: fills A [n + 1, m + 1], row by row. What comes from the row
// above is computed for a whole row at once; what comes from the left is a chain.
template <typename T, typename A = accumulator<T>>
void fill(const T* logp, const T* blank, int64_t n, int64_t m, int64_t positions, A delta, A* table) {
  table[0] = 0;
  for (int64_t j = 1; j <= m; ++j) table[j] = table[j - 1] - load(blank[j - 1]);
  for (int64_t i = 1; i <= n; ++i) {
    const T* token = logp + (i - 1) * positions;
    const A* above = table + (i - 1) * (m + 1);
    A* here = table + i * (m + 1);
    here[0] = m > 0 ? above[0] - delta * load(token[0]) : infinity<A>;
#pragma omp simd
    for (int64_t j = 1; j <= m; ++j) {
      const A log_probability = load(token[j - 1]);
      const A align = above[j - 1] - log_probability, skip_target = above[j] - delta * log_probability;
      here[j] = std::min(align, skip_target);
    }
    for (int64_t j = 1; j <= m; ++j) here[j] = std::min(here[j], here[j - 1] - load(blank[j - 1]));
  }
}

// The operations of the cheapest alignment, in order, and the position of each target.
template <typename T, typename A = accumulator<T>>
void trace(const T* logp, const T* blank, int64_t n, int64_t m, int64_t positions, A delta, const A* table,
           int8_t* operations, int64_t* alignment) {
  int64_t i = n, j = m, count = 0;
  while (i > 0 || j > 0) {
    int8_t operation = i > 0 ? SKIP_TARGET : SKIP_PREDICTION;
    if (i > 0 && j > 0) {
      const A log_probability = load(logp[(i - 1) * positions + j - 1]);
      const A* cell = table + i * (m + 1) + j;
      operation = choose(cell[-m - 2] - log_probability, cell[-1] - load(blank[j - 1]),
                         cell[-m - 1] - delta * log_probability);
    }
    operations[count++] = operation;
    if (operation != SKIP_PREDICTION) alignment[--i] = std::max<int64_t>(j - 1, 0);
    if (operation != SKIP_TARGET) --j;
  }
  std::reverse(operations, operations + count);
}

}  // namespace

NATLAB_API int natlab_axe_align(const void* logp, const void* blank, const int64_t* target_lengths,
                                const int64_t* prediction_lengths, double delta, void* cost, int8_t* operations,
                                int64_t* alignment, void*, int64_t type, int64_t batch, int64_t targets,
                                int64_t positions, int threads) {
  if (!within(target_lengths, batch, targets) || !within(prediction_lengths, batch, positions)) return BAD_LENGTH;
  return by_type(type, [&](auto zero) {
    using T = decltype(zero);
    using A = accumulator<T>;
    std::fill(operations, operations + batch * (targets + positions), NONE);
    std::fill(alignment, alignment + batch * targets, NONE);
#pragma omp parallel num_threads(threads)
    {
      std::vector<A> table;
#pragma omp for schedule(dynamic)
      for (int64_t b = 0; b < batch; ++b) {
        const T* of_targets = static_cast<const T*>(logp) + b * targets * positions;
        const T* of_blank = static_cast<const T*>(blank) + b * positions;
        const int64_t n = target_lengths[b], m = prediction_lengths[b];
        table.resize((n + 1) * (m + 1));
        fill(of_targets, of_blank, n, m, positions, static_cast<A>(delta), table.data());
        static_cast<A*>(cost)[b] = table.back();
        if (table.back() == infinity<A>) continue;
        trace(of_targets, of_blank, n, m, positions, static_cast<A>(delta), table.data(),
              operations + b * (targets + positions), alignment + b * targets);
      }
    }
    return 0;
  });
}

NATLAB_API int natlab_axe_align_backward(const void* grad_cost, const int8_t* operations, double delta,
                                         void* grad_logp, void* grad_blank, int64_t type, int64_t batch,
                                         int64_t targets, int64_t positions, int threads) {
  return by_type(type, [&](auto zero) {
    using T = decltype(zero);
#pragma omp parallel for num_threads(threads)
    for (int64_t b = 0; b < batch; ++b) {
      pay(static_cast<const accumulator<T>*>(grad_cost)[b], operations + b * (targets + positions), delta,
          static_cast<T*>(grad_logp) + b * targets * positions, static_cast<T*>(grad_blank) + b * positions, targets,
          positions);
    }
    return 0;
  });
}
