// The best CTC paths; see natlab/kernels/ctc_best_alignment.py.
//
// Tokens' and blanks' states lie apart, so that a step runs over whole vectors. Only scores are kept: the walk back
// finds the predecessors of the states on the path again.
#include <algorithm>
#include <vector>

#include "natlab.h"

namespace natlab {
namespace {

struct Sizes {
  int64_t batch, targets, length;
};

// The scores of all states at one position: blank[t] is that before token t (the last one behind all), token[t] that of
// token t, and token[-1] = -inf.
template <typename T>
struct States {
  T *blank, *token;
};

template <typename T>
void best_alignments(const T* match, const T* blank, const int64_t* tokens, const int64_t* lengths,
                     const int64_t* target_lengths, T* log_probs, int64_t* alignments, Sizes sizes, int threads) {
#pragma omp parallel num_threads(threads)
  {
    std::vector<T> room(sizes.length * 2 * (sizes.targets + 1)), emissions(sizes.length * sizes.targets);
    std::vector<T> skips(sizes.targets);
#pragma omp for schedule(dynamic)
    for (int64_t b = 0; b < sizes.batch; ++b) {
      const int64_t length = lengths[b], targets = target_lengths[b];
      const T* blanks = blank + b * sizes.length;
      int64_t* alignment = alignments + b * sizes.length;
      std::fill(alignment, alignment + sizes.length, -1);
      log_probs[b] = targets == 0 && length == 0 ? T(0) : -infinity<T>;
      if (targets < 0 || targets > sizes.targets || length < 1 || length > sizes.length) continue;

      for (int64_t t = 0; t < targets; ++t) {
        const int64_t* token = tokens + b * sizes.targets + t;
        skips[t] = t && token[0] != token[-1] ? T(0) : -infinity<T>;
        const T* row = match + (b * sizes.targets + t) * sizes.length;
        for (int64_t l = 0; l < length; ++l) emissions[l * sizes.targets + t] = row[l];
      }
      const auto states = [&](int64_t l) {
        T* row = room.data() + l * 2 * (sizes.targets + 1);
        return States<T>{row, row + sizes.targets + 2};
      };
      for (int64_t l = 0; l < length; ++l) {
        const T* emission = emissions.data() + l * sizes.targets;
        const T silence = blanks[l];
        const States<T> now = states(l);
        now.token[-1] = -infinity<T>;
        if (l == 0) {
          std::fill(now.blank, now.blank + targets + 1, -infinity<T>);
          std::fill(now.token, now.token + targets, -infinity<T>);
          now.blank[0] = silence;
          if (targets) now.token[0] = emission[0];
          continue;
        }
        const States<T> before = states(l - 1);
#pragma omp simd
        for (int64_t t = 0; t < targets; ++t) {
          const T moved = std::max(before.blank[t], before.token[t - 1] + skips[t]);
          now.token[t] = std::max(before.token[t], moved) + emission[t];
        }
#pragma omp simd
        for (int64_t t = 0; t <= targets; ++t) now.blank[t] = std::max(before.blank[t], before.token[t - 1]) + silence;
      }

      const States<T> end = states(length - 1);
      log_probs[b] = std::max(end.blank[targets], end.token[targets - 1]);
      if (log_probs[b] == -infinity<T>) continue;
      bool in_token = end.token[targets - 1] > end.blank[targets];
      int64_t t = in_token ? targets - 1 : targets;
      for (int64_t l = length - 1; l >= 0; --l) {
        alignment[l] = in_token ? t : -1;
        if (l == 0) break;
        const States<T> before = states(l - 1);
        const T previous = before.token[t - 1];
        if (in_token) {
          const T stay = before.token[t], skip = previous + skips[t];
          if (before.blank[t] > stay && before.blank[t] >= skip) {
            in_token = false;
          } else if (skip > stay) {
            --t;
          }
        } else if (previous > before.blank[t]) {
          in_token = true, --t;
        }
      }
    }
  }
}

}  // namespace
}  // namespace natlab

// match [batch, targets, length] and blank [batch, length] -> log_probs [batch], all of `type` (float32 or float64),
// and alignments [batch, length]. (CUDA needs room for the steps taken.)
NATLAB_API int natlab_ctc_best_alignment(const void* match, const void* blank, const int64_t* tokens,
                                         const int64_t* lengths, const int64_t* target_lengths, void* /*steps*/,
                                         void* log_probs, int64_t* alignments, int64_t type, int64_t batch,
                                         int64_t targets, int64_t length, int threads) {
  return natlab::by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    natlab::best_alignments(static_cast<const T*>(match), static_cast<const T*>(blank), tokens, lengths, target_lengths,
                            static_cast<T*>(log_probs), alignments, {batch, targets, length}, threads);
    return 0;
  });
}
