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
template <typename A>
struct States {
  A *blank, *token;
};

template <typename T>
void best_alignments(const T* match, const T* blank, const int64_t* tokens, const int64_t* lengths,
                     const int64_t* target_lengths, accumulator<T>* log_probs, int64_t* alignments, Sizes sizes,
                     int threads) {
  using A = accumulator<T>;
#pragma omp parallel num_threads(threads)
  {
    std::vector<A> room(sizes.length * 2 * (sizes.targets + 1)), emissions(sizes.length * sizes.targets);
    std::vector<A> skips(sizes.targets);
#pragma omp for schedule(dynamic)
    for (int64_t b = 0; b < sizes.batch; ++b) {
      const int64_t length = lengths[b], targets = target_lengths[b];
      const T* blanks = blank + b * sizes.length;
      int64_t* alignment = alignments + b * sizes.length;
      std::fill(alignment, alignment + sizes.length, -1);
      log_probs[b] = targets == 0 && length == 0 ? A(0) : -infinity<A>;
      if (targets < 0 || targets > sizes.targets || length < 1 || length > sizes.length) continue;

      for (int64_t t = 0; t < targets; ++t) {
        const int64_t* token = tokens + b * sizes.targets + t;
        skips[t] = t && token[0] != token[-1] ? A(0) : -infinity<A>;
        const T* row = match + (b * sizes.targets + t) * sizes.length;
        for (int64_t l = 0; l < length; ++l) emissions[l * sizes.targets + t] = load(row[l]);
      }
      const auto states = [&](int64_t l) {
        A* row = room.data() + l * 2 * (sizes.targets + 1);
        return States<A>{row, row + sizes.targets + 2};
      };
      for (int64_t l = 0; l < length; ++l) {
        const A* emission = emissions.data() + l * sizes.targets;
        const A silence = load(blanks[l]);
        const States<A> now = states(l);
        now.token[-1] = -infinity<A>;
        if (l == 0) {
          std::fill(now.blank, now.blank + targets + 1, -infinity<A>);
          std::fill(now.token, now.token + targets, -infinity<A>);
          now.blank[0] = silence;
          if (targets) now.token[0] = emission[0];
          continue;
        }
        const States<A> before = states(l - 1);
#pragma omp simd
        for (int64_t t = 0; t < targets; ++t) {
          const A moved = std::max(before.blank[t], before.token[t - 1] + skips[t]);
          now.token[t] = std::max(before.token[t], moved) + emission[t];
        }
#pragma omp simd
        for (int64_t t = 0; t <= targets; ++t) now.blank[t] = std::max(before.blank[t], before.token[t - 1]) + silence;
      }

      const States<A> end = states(length - 1);
      log_probs[b] = std::max(end.blank[targets], end.token[targets - 1]);
      if (log_probs[b] == -infinity<A>) continue;
      bool in_token = end.token[targets - 1] > end.blank[targets];
      int64_t t = in_token ? targets - 1 : targets;
      for (int64_t l = length - 1; l >= 0; --l) {
        alignment[l] = in_token ? t : -1;
        if (l == 0) break;
        const States<A> before = states(l - 1);
        const A previous = before.token[t - 1];
        if (in_token) {
          const A stay = before.token[t], skip = previous + skips[t];
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

// match [batch, targets, length] and blank [batch, length] of `type` -> log_probs [batch] in its accumulator and
// alignments [batch, length]. (CUDA needs room for the steps taken.)
NATLAB_API int natlab_ctc_best_alignment(const void* match, const void* blank, const int64_t* tokens,
                                         const int64_t* lengths, const int64_t* target_lengths, void* /*steps*/,
                                         void* log_probs, int64_t* alignments, int64_t type, int64_t batch,
                                         int64_t targets, int64_t length, int threads) {
  return natlab::by_type(type, [&](auto element) {
    using T = decltype(element);
    natlab::best_alignments(static_cast<const T*>(match), static_cast<const T*>(blank), tokens, lengths, target_lengths,
                            static_cast<natlab::accumulator<T>*>(log_probs), alignments, {batch, targets, length},
                            threads);
    return 0;
  });
}
